/* ito.h: diffusion models inside somebody's engine, on the engine's own Vulkan device. C99.
 *
 * One symbol is exported, ito_get_api; it fills a table of functions. In short:
 *
 *     ItoApi ito;
 *     ito_get_api(ITO_API_VERSION, sizeof ito, &ito);
 *     ito.create_context(&context_info, &context);       // once: the host's device, or one of Ito's
 *     ito.load_model(context, &model_info, &model);      // once a model
 *     ito.create_sample_job(model, &sample_info, &job);  // compiles and measures; may take seconds
 *     ito.restart(job, requests, count);                 // which seeds and classes
 *     each frame: ito.record_slice(job, commands, &budget, &progress);
 *     when progress.recorded: ito.record_image(job, commands, &target);
 *
 * Structures. Every structure begins with its type, its size (sizeof, as the caller's compiler sees
 * it) and `next`, which must be NULL, but for ItoContextInfo, behind which packs may hang. ITO_INIT fills these and zeroes the rest; zero is each field's
 * default. A structure of an older header, which is shorter, keeps working; a longer one is refused
 * unless what is unknown in it is zero.
 *
 * Errors. Functions return an ItoResult; negative ones are errors and last_error() says in one
 * sentence what was wrong. No exception and no abort comes out of Ito: where it finds itself broken
 * the call gives ITO_ERROR_INTERNAL, and so does every later call on that context, which can only be
 * destroyed. So it is after ITO_ERROR_DEVICE_LOST, which every later call gives again.
 *
 * Threads. Any function may be called from any thread; functions on one job by one thread at a time.
 * Ito holds no lock of its own while it calls the host: lock_queue, unlock_queue, run_jobs, progress,
 * log and the allocation callbacks; only vkQueueSubmit is called, behind lock_queue, under the lock
 * that orders Ito's own submissions. No callback may call Ito. Who holds the lock of the queue may
 * call whatever submits nothing: restart (but not the first after trim_memory), write_input, poll,
 * cancel and all that is called record_.
 *
 * Lifetimes. A job keeps its model alive and a model its context: handles may be destroyed in any
 * order. What the host gives (instance, device, queue, images, callbacks) must outlive the context.
 * Strings and structures given to a function are read before it returns. Strings from Ito live as
 * long as the object they were asked of; that of last_error until the thread's next call.
 *
 * Besides sampling a job may be one evaluation of a network (create_evaluate_job) or a training
 * (create_train_job). What is not there yet: latent models, and contexts and texts in sampling.
 */
#ifndef ITO_ITO_H
#define ITO_ITO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define ITO_CALL __cdecl
#if defined(ITO_BUILD_SHARED)
#define ITO_EXPORT __declspec(dllexport)
#else
#define ITO_EXPORT
#endif
#else
#define ITO_CALL
#define ITO_EXPORT __attribute__((visibility("default")))
#endif

/* Rises when functions are added to the table. */
#define ITO_API_VERSION 1u

typedef struct ItoContext_T *ItoContext;
typedef struct ItoModel_T *ItoModel;
typedef struct ItoJob_T *ItoJob;

typedef enum ItoResult {
  ITO_OK = 0,
  ITO_NOT_READY = 1,                /* nothing is wrong; ask again later */
  ITO_ERROR_INVALID_ARGUMENT = -1,  /* a value given by the caller */
  ITO_ERROR_NOT_FOUND = -2,         /* a file, device or function that does not exist */
  ITO_ERROR_IO = -3,                /* reading or writing failed */
  ITO_ERROR_CORRUPT = -4,           /* a file contradicts itself or its format */
  ITO_ERROR_UNSUPPORTED = -5,       /* valid, but this build, device or job cannot do it */
  ITO_ERROR_OUT_OF_MEMORY = -6,     /* of the host or the device */
  ITO_ERROR_DEVICE_LOST = -7,       /* the Vulkan device is gone; destroy the context */
  ITO_ERROR_DEVICE = -8,            /* the driver failed at something it should be able to do */
  ITO_ERROR_DIVERGED = -9,          /* images with numbers that are not finite */
  ITO_ERROR_INTERNAL = -10,         /* a fault of Ito's own; destroy the context */
  ITO_ERROR_CANCELLED = -11,        /* the host's progress callback said so */
  ITO_RESULT_MAX_ENUM = 0x7fffffff
} ItoResult;

typedef enum ItoStructureType {
  ITO_STRUCTURE_TYPE_HOST_DEVICE = 1,
  ITO_STRUCTURE_TYPE_CONTEXT_INFO = 2,
  ITO_STRUCTURE_TYPE_CONTEXT_PROPERTIES = 3,
  ITO_STRUCTURE_TYPE_MODEL_INFO = 4,
  ITO_STRUCTURE_TYPE_MODEL_PROPERTIES = 5,
  ITO_STRUCTURE_TYPE_SAMPLE_INFO = 6,
  ITO_STRUCTURE_TYPE_JOB_PROPERTIES = 7,
  ITO_STRUCTURE_TYPE_BUDGET = 8,
  ITO_STRUCTURE_TYPE_PROGRESS = 9,
  ITO_STRUCTURE_TYPE_IMAGE_TARGET = 10,
  ITO_STRUCTURE_TYPE_STATISTICS = 11,
  ITO_STRUCTURE_TYPE_EVALUATE_INFO = 12,
  ITO_STRUCTURE_TYPE_TRAIN_INFO = 13,
  ITO_STRUCTURE_TYPE_TRAIN_REPORT = 14,
  ITO_STRUCTURE_TYPE_INPUT_PROPERTIES = 15,
  ITO_STRUCTURE_TYPE_IMAGE_SOURCE = 16,
  ITO_STRUCTURE_TYPE_BUFFER_SOURCE = 17,
  ITO_STRUCTURE_TYPE_BUFFER_TARGET = 18,
  ITO_STRUCTURE_TYPE_PACK_INFO = 19,
  ITO_STRUCTURE_TYPE_MAX_ENUM = 0x7fffffff
} ItoStructureType;

#define ITO_HEADER       \
  ItoStructureType type; \
  uint32_t size;         \
  const void *next

/* Zeroes a structure and says what it is: ItoBudget budget; ITO_INIT(budget, BUDGET); */
#define ITO_INIT(variable, NAME)                          \
  (memset(&(variable), 0, sizeof(variable)),              \
   (variable).type = ITO_STRUCTURE_TYPE_##NAME,           \
   (void)((variable).size = (uint32_t)sizeof(variable)))

typedef enum ItoLogLevel {
  ITO_LOG_DEBUG = 0,
  ITO_LOG_INFO = 1,
  ITO_LOG_WARNING = 2,
  ITO_LOG_ERROR = 3,
  ITO_LOG_MAX_ENUM = 0x7fffffff
} ItoLogLevel;

/* ------------------------------------------------------------------------------- the device */

/* The host's device. Ito uses what is enabled on it and nothing else. Needed are Vulkan 1.2 and the
 * feature bufferDeviceAddress; enable_features() sets what Ito would like besides. */
typedef struct ItoHostDevice {
  ITO_HEADER;
  PFN_vkGetInstanceProcAddr get_instance_proc_addr; /* the host's loader; required */
  VkInstance instance;
  VkPhysicalDevice physical_device;
  VkDevice device;
  uint32_t api_version; /* of the host's VkApplicationInfo: VK_API_VERSION_1_2 or more */
  /* The pNext chain of VkDeviceCreateInfo (it may begin with VkPhysicalDeviceFeatures2) and the
   * device extensions, as the device was created with them. */
  const void *enabled_features;
  const char *const *enabled_extensions;
  uint32_t enabled_extension_count;
  /* A queue that can compute, for prewarming, uploads of weights, submit_slice and read_images.
   * Its lock is held around each vkQueueSubmit; NULL where no other thread uses the queue, or where
   * it is made by VK_KHR_internally_synchronized_queues. VK_NULL_HANDLE: Ito submits nothing. Then
   * the host submits to queues of queue_family what record_slice and record_uploads record, budgets
   * begin as guesses, which the slices' own time marks correct, and submit_slice is not there. */
  uint32_t queue_family;
  VkQueue queue;
  void(ITO_CALL *lock_queue)(void *user);
  void(ITO_CALL *unlock_queue)(void *user);
  void *user;
  VkPipelineCache pipeline_cache; /* used where given, in place of one in cache_folder; not with
                                     VK_PIPELINE_CACHE_CREATE_EXTERNALLY_SYNCHRONIZED_BIT */
} ItoHostDevice;

/* Of a queue beside those of other programs. */
typedef enum ItoQueuePriority {
  ITO_QUEUE_PRIORITY_DEFAULT = 0, /* as the driver has it */
  ITO_QUEUE_PRIORITY_LOW = 1,
  ITO_QUEUE_PRIORITY_MEDIUM = 2,
  ITO_QUEUE_PRIORITY_HIGH = 3,
  ITO_QUEUE_PRIORITY_REALTIME = 4,
  ITO_QUEUE_PRIORITY_MAX_ENUM = 0x7fffffff
} ItoQueuePriority;

typedef struct ItoContextInfo {
  ITO_HEADER;
  const ItoHostDevice *host; /* NULL: a device of Ito's own */
  const char *device_name;   /* of that one: a part of its name, any case; NULL: the best */
  const char *cache_folder;  /* for compiled shaders; NULL: none is kept. Nothing else is written,
                                and nothing is taken from the environment */
  uint64_t memory_budget;    /* bytes of device memory at most; 0: the device's own limit */
  uint32_t compile_threads;  /* 0: one per processor */
  const VkAllocationCallbacks *allocation_callbacks; /* NULL: the driver's own */
  /* Called with messages, from any thread; NULL: they are dropped. */
  void(ITO_CALL *log)(void *user, ItoLogLevel level, const char *message);
  void *user;
  /* Compiles on the host's threads: calls job(data, i) for every i below `count`, each once, from
   * any threads, side by side or not, and returns when all have returned. A job takes some
   * milliseconds and waits for no other. NULL: threads of Ito's own, which end with the call. */
  void(ITO_CALL *run_jobs)(void *user, uint32_t count,
                           void(ITO_CALL *job)(void *data, uint32_t index), void *data);
  /* Told how many of a job's kernels are made, from any thread, first with done = 0. VK_FALSE: no
   * more are begun, and the job's creation gives ITO_ERROR_CANCELLED. NULL: nobody is told. */
  VkBool32(ITO_CALL *progress)(void *user, uint32_t done, uint32_t total);
  /* Of a slice's dispatches beside the host's own, above 0 to 1, 0.5 being normal, where
   * VK_NV_compute_occupancy_priority and its feature are enabled; 0: none is set. Behind a slice the
   * command buffer has the normal one. */
  float occupancy_priority;
  /* Of the queue of a device of Ito's own, where VK_KHR_global_priority is there and the system
   * permits it (the log says where not). A host makes its queue itself. */
  ItoQueuePriority queue_priority;
} ItoContextInfo;

/* A pack of `ito pack`: kernels of a model's jobs, compiled ahead of time for some forms of device.
 * Hung behind ItoContextInfo by `next`; further packs follow by their own `next`, at most 64. What is
 * in a pack is not compiled. Programs are planned for the device as ever, or, in a library without a
 * compiler (ITO_COMPILER=OFF), where the packs do not have that form, for the first form of the first
 * pack that all packs have and the device can run; the context's properties are then the form's. A
 * kernel that a job needs and no pack has is compiled; in a library without a compiler the job's
 * creation gives ITO_ERROR_UNSUPPORTED, and the sentence has the `ito pack` command that makes it.
 * A pack is read and checked (sizes, checksum) by create_context and copied; nothing of it is needed
 * afterwards. What its kernels do is not checked: take packs from whom you take libraries.
 * Errors of create_context: INVALID_ARGUMENT both path and data, or neither; NOT_FOUND, IO; CORRUPT no
 * pack, a damaged one or one of another version; UNSUPPORTED no compiler and no form that the device
 * can run. */
typedef struct ItoPackInfo {
  ITO_HEADER;
  const char *path; /* of the file; NULL: it is in memory */
  const void *data; /* its bytes, at any alignment */
  uint64_t bytes;
} ItoPackInfo;

typedef struct ItoContextProperties {
  ITO_HEADER;
  char device_name[256];
  uint32_t queue_family;          /* command buffers for record_slice are of this one */
  VkBool32 half_precision;        /* ITO_PRECISION_FP16 can be asked for */
  VkBool32 cooperative_matrices;  /* which then uses matrix units */
  VkBool32 wrapped;               /* the host's device */
} ItoContextProperties;

/* Totals since the context was made. After a job's creation only `submits` rises by its slices. */
typedef struct ItoStatistics {
  ITO_HEADER;
  uint64_t device_bytes;      /* of device memory in use */
  uint64_t device_blocks;     /* vkAllocateMemory calls */
  uint64_t buffers;           /* cut from these blocks */
  uint64_t pipelines_created; /* vkCreateComputePipelines calls */
  uint64_t shaders_compiled;
  uint64_t submits;           /* vkQueueSubmit calls */
  uint64_t host_waits;        /* the host waited for the device */
  uint64_t shaders_packed;    /* taken from packs instead of compiled */
} ItoStatistics;

/* -------------------------------------------------------------------------------- the model */

typedef struct ItoModelInfo {
  ITO_HEADER;
  const char *folder;  /* a run of `ito train` or a diffusers folder; required */
  const char *variant; /* of its weights, as "fp16" or "ema-0.9999"; NULL: the main ones */
} ItoModelInfo;

typedef struct ItoModelProperties {
  ITO_HEADER;
  uint32_t width, height, channels; /* of its images; 0 where the model takes any size */
  uint32_t classes;                 /* rows of its class table; 0: none. The last may stand for no
                                       class, as a model for guidance has it */
  uint64_t parameters;
} ItoModelProperties;

/* --------------------------------------------------------------------------------- sampling */

typedef enum ItoPrecision {
  ITO_PRECISION_FP32 = 0,
  ITO_PRECISION_FP16 = 1, /* factors of products in 16 bits, sums in 32 */
  ITO_PRECISION_MAX_ENUM = 0x7fffffff
} ItoPrecision;

/* Pixels, of results and of pictures that are given. As results values are x/2 + 0.5 clamped to
 * [0, 1]; models of one channel show grey, and of pictures for these the red is taken. The bytes of
 * RGBA8 are those of the PNG files of `ito sample`, and are taken as those of PNG files are. */
typedef enum ItoPixelFormat {
  ITO_PIXEL_FORMAT_NONE = 0,    /* no pixels: numbers, of pictures in [-1, 1] */
  ITO_PIXEL_FORMAT_RGBA8 = 1,   /* VK_FORMAT_R8G8B8A8_UNORM or _SRGB: the bytes are the same */
  ITO_PIXEL_FORMAT_RGBA32F = 2, /* VK_FORMAT_R32G32B32A32_SFLOAT */
  ITO_PIXEL_FORMAT_R32F = 3,    /* VK_FORMAT_R32_SFLOAT; models of one channel */
  ITO_PIXEL_FORMAT_RGBA16F = 4, /* VK_FORMAT_R16G16B16A16_SFLOAT; rounded half to even */
  ITO_PIXEL_FORMAT_R8 = 5,      /* VK_FORMAT_R8_UNORM; one channel; not of results, as the next */
  ITO_PIXEL_FORMAT_BYTES = 6,   /* a byte for each of the model's channels; not of images */
  ITO_PIXEL_FORMAT_MAX_ENUM = 0x7fffffff
} ItoPixelFormat;

typedef struct ItoSampleInfo {
  ITO_HEADER;
  const char *sampler;     /* "ddim", "dpmsolver", … as `ito inspect --list samplers` names them; NULL:
                              the model's own. Not "ode", which decides its steps while it runs */
  uint32_t steps;          /* 0: the sampler's own number */
  uint32_t batch;          /* images together, at most 16384; 0: 1 */
  uint32_t width, height;  /* 0: the model's */
  double guidance_scale;   /* classifier-free guidance; 0: none */
  double eta;              /* of ddim: 0 is deterministic, 1 as noisy as ddpm */
  ItoPrecision precision;
  ItoPixelFormat pixel_format; /* of the results, for record_image, read_pixels and previews */
  double strength;             /* image to image: above 0, at most 1 (which keeps nothing): begins at
                                  ITO_INPUT_INITIAL, noised so far. 0: at noise */
  VkBool32 inpaint;            /* fills ITO_INPUT_KNOWN in where ITO_INPUT_MASK says; models that do
                                  nothing else want it */
  ItoPixelFormat picture_format; /* of INITIAL and KNOWN */
  ItoPixelFormat mask_format;    /* of MASK */
  VkBool32 preview;              /* record_preview may be called; wants a pixel format */
} ItoSampleInfo;

/* One evaluation of the model's network, as of `ito forward`. */
typedef struct ItoEvaluateInfo {
  ITO_HEADER;
  uint32_t batch;          /* 0: 1 */
  uint32_t width, height;  /* 0: the model's */
  uint32_t context_length; /* states of ITO_INPUT_CONTEXT; models that attend to one */
  ItoPrecision precision;
} ItoEvaluateInfo;

/* A training by the options of `ito train`, of batches that the host gives. */
typedef struct ItoTrainInfo {
  ITO_HEADER;
  /* The options, a JSON object by their names, {"lr": 1e-3, "batch": 8}, as a run's run.json has
   * them (docs/commands.md says what they are); NULL: the defaults. What a run measures on its
   * images or takes of its length must be given: sigma-max of VE, decay-steps. */
  const char *options;
  uint32_t width, height, channels; /* of the pictures; required. They are padded as `size` says */
  uint32_t classes;                 /* of them; 0: they have none */
  const char *const *class_names;   /* of all; NULL: they are called by their numbers */
  ItoPixelFormat picture_format;    /* of ITO_INPUT_PICTURES */
  const char *initial_folder;       /* the model that it starts from; NULL: fresh weights */
  const char *initial_variant;      /* of its weights; NULL: the main ones */
} ItoTrainInfo;

typedef struct ItoTrainReport {
  ITO_HEADER;
  uint64_t step;           /* updates */
  double loss;             /* of the newest: a mean over its images, before it */
  double gradient_norm;    /* of the newest, before clipping */
  double learning_rate;    /* of the newest */
  double loss_scale;       /* of precision fp16, whose loss and norm may be no numbers in a step that
                              is left out; 0: the loss is not scaled */
  uint64_t steps_left_out; /* of all updates */
} ItoTrainReport;

/* What a job is given besides seeds and classes. Numbers are float, [rows][...], classes uint32_t. */
typedef enum ItoInput {
  ITO_INPUT_INITIAL = 1,   /* [batch][height][width][channels]: pictures to begin at */
  ITO_INPUT_KNOWN = 2,     /* [1][height][width][channels]: the picture of an inpainting */
  ITO_INPUT_MASK = 3,      /* [1][height][width][1]: where it is known, from half of the range on
                              (numbers: 0.5); below it is filled */
  ITO_INPUT_SAMPLE = 4,    /* [batch][height][width][channels]: what a network sees; it is told */
  ITO_INPUT_TIMESTEPS = 5, /* [batch]: the time, as the model has it */
  ITO_INPUT_CLASSES = 6,   /* [batch]: classes, or what else the model takes for them */
  ITO_INPUT_CONTEXT = 7,   /* [batch][context_length][features] */
  ITO_INPUT_GUIDANCE = 8,  /* [batch][features]: the embedded guidance scale */
  ITO_INPUT_LATENT = 9,    /* [batch][features] */
  ITO_INPUT_PICTURES = 10, /* [batch][height][width][channels]: a batch to train on */
  ITO_INPUT_LABELS = 11,   /* [batch]: their classes */
  ITO_INPUT_MAX_ENUM = 0x7fffffff
} ItoInput;

typedef struct ItoInputProperties {
  ITO_HEADER;
  uint32_t rows;      /* pictures, or what else the first extent counts */
  uint64_t row_bytes; /* of each as it is given, tightly packed */
  ItoPixelFormat pixel_format;
} ItoInputProperties;

typedef struct ItoJobProperties {
  ITO_HEADER;
  uint32_t width, height, channels, batch, steps;
  uint32_t classes;          /* class indices are below this; 0: they are not used */
  uint64_t image_floats;     /* numbers of all images together, [batch][height][width][channels], or
                                of a network's output; 0 of a training */
  uint64_t pixel_bytes;      /* of all pixels together, [batch][height][width]; 0 without a format */
} ItoJobProperties;

/* One image. It depends on model, sampler, steps, size, precision, seed and class only, never on
 * what shares its batch. */
typedef struct ItoImageRequest {
  uint32_t seed;
  uint32_t class_index; /* not used by models without classes */
} ItoImageRequest;

/* How much one slice may hold. A slice holds at least a part of one dispatch, whatever the budget.
 * Times are estimates, which the job's creation measured dispatch by dispatch and which the time
 * marks of the slices correct while they run, without waiting. */
typedef struct ItoBudget {
  ITO_HEADER;
  uint32_t gpu_microseconds; /* 0: no limit */
  uint32_t max_dispatches;   /* 0: no limit */
} ItoBudget;

typedef struct ItoProgress {
  ITO_HEADER;
  uint32_t step, steps; /* steps recorded as a whole, of how many; 0: without an end */
  VkBool32 recorded;    /* all is recorded */
  VkBool32 complete;    /* and, as far as submit_slice submitted it, done by the device */
  uint32_t gpu_microseconds; /* what the newest slice took that is known to be done; 0: none is */
} ItoProgress;

/* The owner of an image or buffer of the host's; 0 stands for the context's own queue family. Where
 * it is another one (or VK_QUEUE_FAMILY_EXTERNAL), Ito records its half of the change of owners: the
 * other half, with the same layout before and after, and the semaphore between are the host's. */
#define ITO_QUEUE_FAMILY(index) ((index) + 1u)

/* Where record_image and record_preview write one image of the batch: a part of a colour image that
 * can be copied to (VK_IMAGE_USAGE_TRANSFER_DST_BIT), of a format that fits the job's. The
 * subresource is taken from the layout, stages and accesses before to those after. */
typedef struct ItoImageTarget {
  ITO_HEADER;
  uint32_t image_index; /* in the batch */
  VkImage image;
  VkOffset2D offset; /* of the upper left pixel */
  uint32_t mip_level, array_layer;
  VkImageLayout layout_before, layout_after; /* before: VK_IMAGE_LAYOUT_UNDEFINED loses the rest */
  VkPipelineStageFlags stages_before, stages_after; /* 0: all commands */
  VkAccessFlags access_before, access_after;        /* of the host's own use, before and after */
  uint32_t owner_before, owner_after;               /* ITO_QUEUE_FAMILY(...), or 0 */
} ItoImageTarget;

/* Where record_image_source reads one picture: as above, from an image that can be copied from
 * (VK_IMAGE_USAGE_TRANSFER_SRC_BIT), as large a part as the input's pictures. */
typedef struct ItoImageSource {
  ITO_HEADER;
  ItoInput input;
  uint32_t row;
  VkImage image;
  VkOffset2D offset;
  uint32_t mip_level, array_layer;
  VkImageLayout layout_before, layout_after;
  VkPipelineStageFlags stages_before, stages_after;
  VkAccessFlags access_before, access_after;
  uint32_t owner_before, owner_after;
} ItoImageSource;

/* Where record_buffer_source reads rows of an input: a range of a buffer that can be copied from
 * (VK_BUFFER_USAGE_TRANSFER_SRC_BIT), the rows one behind the other. */
typedef struct ItoBufferSource {
  ITO_HEADER;
  ItoInput input;
  uint32_t row, rows; /* rows: 0: all from `row` on */
  VkBuffer buffer;
  VkDeviceSize offset;
  VkPipelineStageFlags stages_before, stages_after;
  VkAccessFlags access_before, access_after;
  uint32_t owner_before, owner_after;
} ItoBufferSource;

typedef enum ItoContent {
  ITO_CONTENT_NUMBERS = 0, /* float, as read_images gives them */
  ITO_CONTENT_PIXELS = 1,  /* as read_pixels gives them */
  ITO_CONTENT_PREVIEW = 2, /* the same of the newest record_preview */
  ITO_CONTENT_MAX_ENUM = 0x7fffffff
} ItoContent;

/* Where record_buffer writes images of the batch, one behind the other: a range of a buffer that can
 * be copied to (VK_BUFFER_USAGE_TRANSFER_DST_BIT). */
typedef struct ItoBufferTarget {
  ITO_HEADER;
  ItoContent content;
  uint32_t image_index, images; /* images: 0: all from image_index on */
  VkBuffer buffer;
  VkDeviceSize offset;
  VkPipelineStageFlags stages_before, stages_after;
  VkAccessFlags access_before, access_after;
  uint32_t owner_before, owner_after;
} ItoBufferTarget;

/* -------------------------------------------------------------------------------- functions */

typedef struct ItoApi {
  uint32_t version; /* of the library that filled the table */
  uint32_t size;    /* bytes of it that are filled */

  /* A result in words. Never NULL. */
  const char *(ITO_CALL *result_text)(ItoResult result);
  /* What this thread's last call that failed had to say. Never NULL. */
  const char *(ITO_CALL *last_error)(void);

  /* Before the host makes its device: sets, in the structures that `features` (a chain that begins
   * with VkPhysicalDeviceFeatures2) holds, what Ito uses and the device supports; nothing is unset
   * and no structure is added. Structures worth putting into the chain: the core ones of Vulkan 1.1
   * to 1.3, VkPhysicalDeviceSubgroupSizeControlFeatures,
   * VkPhysicalDeviceCooperativeMatrixFeaturesKHR. Errors: UNSUPPORTED where bufferDeviceAddress is
   * missing on the device. */
  ItoResult(ITO_CALL *enable_features)(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                       VkInstance instance, VkPhysicalDevice device,
                                       VkPhysicalDeviceFeatures2 *features);
  /* Device extensions that Ito uses where they are enabled, and needs none of: `*count` of them, in
   * an array that lives for ever. */
  const char *const *(ITO_CALL *optional_extensions)(uint32_t *count);

  /* Errors: INVALID_ARGUMENT a missing handle; UNSUPPORTED Vulkan below 1.2, bufferDeviceAddress not
   * enabled, no queue that can compute; NOT_FOUND no such device. */
  ItoResult(ITO_CALL *create_context)(const ItoContextInfo *info, ItoContext *context);
  /* Gives up the handle; the device's resources go with the last model and job. NULL is ignored. */
  void(ITO_CALL *destroy_context)(ItoContext context);
  ItoResult(ITO_CALL *get_context_properties)(ItoContext context, ItoContextProperties *properties);
  ItoResult(ITO_CALL *get_statistics)(ItoContext context, ItoStatistics *statistics);

  /* Reads a model and uploads its weights; waits for both. Errors: NOT_FOUND, IO, CORRUPT naming the
   * file and what is wrong with it; UNSUPPORTED a network or a part that Ito does not know;
   * OUT_OF_MEMORY. */
  ItoResult(ITO_CALL *load_model)(ItoContext context, const ItoModelInfo *info, ItoModel *model);
  void(ITO_CALL *destroy_model)(ItoModel model);
  ItoResult(ITO_CALL *get_model_properties)(ItoModel model, ItoModelProperties *properties);
  /* What class `index` is called; NULL where the model does not say. */
  const char *(ITO_CALL *get_class_name)(ItoModel model, uint32_t index);

  /* For contexts without a queue: records what load_model, the creation of a job and the first
   * restart after a trim_memory left to be written to the device, in order, as much as the budget
   * holds (at 2 GB/s), at least a part. ITO_NOT_READY: there is more. These command buffers are
   * executed in the order of recording, each once, before what is recorded of jobs that were made
   * till then. By one thread at a time, while no job or model of the context is destroyed and no
   * memory trimmed. Records nothing and gives ITO_OK where nothing is left, as ever with a queue, and
   * with memory that the host sees. */
  ItoResult(ITO_CALL *record_uploads)(ItoContext context, VkCommandBuffer commands,
                                      const ItoBudget *budget);
  /* What record_uploads recorded so far has been executed: gives back the memory it lay in. */
  ItoResult(ITO_CALL *release_uploads)(ItoContext context);

  /* Compiles all that the job needs and, where there is a queue, runs a few steps to measure them;
   * waits. Afterwards no function on the job but those that read, write a model, trim or destroy, and
   * the first restart after a trim, allocates, compiles or waits. Errors: INVALID_ARGUMENT a name,
   * number or size; UNSUPPORTED what the model or device cannot; CANCELLED. */
  ItoResult(ITO_CALL *create_sample_job)(ItoModel model, const ItoSampleInfo *info, ItoJob *job);
  /* As create_sample_job, for one evaluation of the network on ITO_INPUT_SAMPLE and what else it is
   * told; its output is read as images are. */
  ItoResult(ITO_CALL *create_evaluate_job)(ItoModel model, const ItoEvaluateInfo *info,
                                           ItoJob *job);
  /* The same for a training. Each restart begins a batch, ITO_INPUT_PICTURES and, with classes,
   * ITO_INPUT_LABELS; behind as many as `accumulate` says the weights are updated. What is recorded
   * of a batch must be recorded to its end, and executed. Errors: those of `ito train`. */
  ItoResult(ITO_CALL *create_train_job)(ItoContext context, const ItoTrainInfo *info, ItoJob *job);
  /* Waits for what submit_slice submitted. What the host recorded must have been executed, or never
   * be. */
  void(ITO_CALL *destroy_job)(ItoJob job);
  ItoResult(ITO_CALL *get_job_properties)(ItoJob job, ItoJobProperties *properties);

  /* Errors of all functions with inputs: INVALID_ARGUMENT the job takes no such input, has no such
   * row, a size. */
  ItoResult(ITO_CALL *get_input_properties)(ItoJob job, ItoInput input,
                                            ItoInputProperties *properties);
  /* Takes a copy of whole rows, from `row` on, as many as `size` bytes are; the first slice after a
   * restart brings them to the device, inside the command buffer. What an input holds stays until
   * something else is given; at first it is zeros. Give it before the first slice that it is for.
   * Errors besides: a class that does not exist. */
  ItoResult(ITO_CALL *write_input)(ItoJob job, ItoInput input, uint32_t row, const void *data,
                                   size_t size);
  /* Records a copy of a picture, or of rows, from an image or buffer of the host's, before the
   * first slice that it is for. Classes that do not exist are not noticed: the last one is taken.
   * ITO_NOT_READY as of record_slice. */
  ItoResult(ITO_CALL *record_image_source)(ItoJob job, VkCommandBuffer commands,
                                           const ItoImageSource *source);
  ItoResult(ITO_CALL *record_buffer_source)(ItoJob job, VkCommandBuffer commands,
                                            const ItoBufferSource *source);

  /* Begins images of these requests; `count` is the job's batch. What was begun before and is not
   * recorded is forgotten. Call it before the first slice. Touches no memory of the device: the
   * next slice does. Of an evaluation, and of the next batch of a training, `requests` is NULL and
   * `count` 0. Errors: INVALID_ARGUMENT another count, a class that does not exist, a training whose
   * batch is recorded in part. */
  ItoResult(ITO_CALL *restart)(ItoJob job, const ItoImageRequest *requests, uint32_t count);

  /* Records the next slice into a primary or secondary command buffer of the host's: in the
   * recording state, outside a render pass, of the context's queue family. Command buffers must be
   * executed in the order in which they were recorded, each once, or not at all before a restart.
   * Barriers order a slice against all that comes before and after it on the queue. Bound compute
   * pipeline and push constants are changed, nothing else. Records nothing once all is recorded.
   * `progress` may be NULL. ITO_NOT_READY, and nothing is recorded: record_uploads has not yet
   * recorded all that the job needs. */
  ItoResult(ITO_CALL *record_slice)(ItoJob job, VkCommandBuffer commands, const ItoBudget *budget,
                                    ItoProgress *progress);
  /* The same into a command buffer of Ito's, which is submitted to the context's queue. Does not
   * wait: ITO_NOT_READY where three slices are under way. After OUT_OF_MEMORY the job stands where it
   * stood, and the call may be made again. UNSUPPORTED: the context has no queue. */
  ItoResult(ITO_CALL *submit_slice)(ItoJob job, const ItoBudget *budget, ItoProgress *progress);

  /* How far the job is. Does not wait. */
  ItoResult(ITO_CALL *poll)(ItoJob job, ItoProgress *progress);
  /* Forgets what was begun and is not recorded, until the next restart, which may follow at once.
   * Errors: UNSUPPORTED a training whose batch is recorded in part. */
  ItoResult(ITO_CALL *cancel)(ItoJob job);

  /* Records a copy of one image's pixels into an image of the host's, behind the slices recorded so
   * far: before `recorded` it shows an unfinished or an earlier image. Errors: INVALID_ARGUMENT an
   * index, a null handle; UNSUPPORTED a job without a pixel format. */
  ItoResult(ITO_CALL *record_image)(ItoJob job, VkCommandBuffer commands,
                                    const ItoImageTarget *target);

  /* Records the making, and a copy, of the pixels of what an image will be as far as the slices
   * recorded so far know: the estimate of x_0, or x itself where the sampler makes none. Grey before
   * the first step. `target` may be NULL: record_buffer gives them too. ITO_NOT_READY as of
   * record_slice. Errors: UNSUPPORTED a job without `preview`. */
  ItoResult(ITO_CALL *record_preview)(ItoJob job, VkCommandBuffer commands,
                                      const ItoImageTarget *target);
  /* Records a copy of images, as record_image does, into a buffer. */
  ItoResult(ITO_CALL *record_buffer)(ItoJob job, VkCommandBuffer commands,
                                     const ItoBufferTarget *target);

  /* Gives the images as numbers in about [-1, 1], [batch][height][width][channels], or their pixels
   * [batch][height][width]. Waits for what submit_slice submitted; what the host recorded must have
   * been executed. `size` is in bytes and must be all of them (ItoJobProperties). Errors:
   * INVALID_ARGUMENT a size; NOT_READY not all is recorded; DIVERGED naming the step. */
  ItoResult(ITO_CALL *read_images)(ItoJob job, float *images, size_t size);
  ItoResult(ITO_CALL *read_pixels)(ItoJob job, void *pixels, size_t size);

  /* Gives back the memory that the job works in; what it holds (inputs, results, states) stays. The
   * next restart takes it again, and waits for that (without a queue it leaves its first contents to
   * record_uploads). Waits for what submit_slice submitted; what the host recorded must have been
   * executed, or never be. Errors: INVALID_ARGUMENT something is recorded in part. */
  ItoResult(ITO_CALL *trim_memory)(ItoJob job);

  /* What a training has come to, once its commands have been executed; waits as read_images does.
   * Errors of all three: UNSUPPORTED another kind of job; INVALID_ARGUMENT no update yet; DIVERGED a
   * loss that is not finite, or with a loss scale no gradient that is. */
  ItoResult(ITO_CALL *read_train_report)(ItoJob job, ItoTrainReport *report);
  /* Writes the averaged weights as `ito train` writes a model: load_model and `ito` read it. Waits
   * likewise. Errors besides: IO naming the file; UNSUPPORTED a context without a queue, where the
   * host does not see the device's memory. */
  ItoResult(ITO_CALL *write_trained_model)(ItoJob job, const char *folder);
  /* A model of the job's averaged weights where they are: jobs of it show what the training has come
   * to whenever they are restarted. Destroy it as any. */
  ItoResult(ITO_CALL *get_trained_model)(ItoJob job, ItoModel *model);
} ItoApi;

/* Fills the table. `version`: ITO_API_VERSION of this header; `size`: sizeof(ItoApi). Errors:
 * ITO_ERROR_UNSUPPORTED where the library is older than the header. */
ITO_EXPORT ItoResult ITO_CALL ito_get_api(uint32_t version, size_t size, ItoApi *api);

#ifdef __cplusplus
}
#endif

#endif
