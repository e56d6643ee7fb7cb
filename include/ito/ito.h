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
 * it) and `next`, which must be NULL. ITO_INIT fills these and zeroes the rest; zero is each field's
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
 * call whatever submits nothing: restart, record_slice, record_image, record_uploads, poll.
 *
 * Lifetimes. A job keeps its model alive and a model its context: handles may be destroyed in any
 * order. What the host gives (instance, device, queue, images, callbacks) must outlive the context.
 * Strings and structures given to a function are read before it returns. Strings from Ito live as
 * long as the object they were asked of; that of last_error until the thread's next call.
 *
 * What is not there yet: training, pictures to begin at, latent models and text.
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
#define ITO_API_VERSION 2u

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
   * more are begun, and create_sample_job gives ITO_ERROR_CANCELLED. NULL: nobody is told. */
  VkBool32(ITO_CALL *progress)(void *user, uint32_t done, uint32_t total);
  /* Of a slice's dispatches beside the host's own, above 0 to 1, 0.5 being normal, where
   * VK_NV_compute_occupancy_priority and its feature are enabled; 0: none is set. Behind a slice the
   * command buffer has the normal one. */
  float occupancy_priority;
  /* Of the queue of a device of Ito's own, where VK_KHR_global_priority is there and the system
   * permits it (the log says where not). A host makes its queue itself. */
  ItoQueuePriority queue_priority;
} ItoContextInfo;

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

/* Pixels for record_image and read_pixels. Values are x/2 + 0.5 clamped to [0, 1]; grey models show
 * grey. The bytes are those of the PNG files of `ito sample`. */
typedef enum ItoPixelFormat {
  ITO_PIXEL_FORMAT_NONE = 0,    /* none are made; read_images gives numbers */
  ITO_PIXEL_FORMAT_RGBA8 = 1,   /* VK_FORMAT_R8G8B8A8_UNORM or _SRGB: the bytes are the same */
  ITO_PIXEL_FORMAT_RGBA32F = 2, /* VK_FORMAT_R32G32B32A32_SFLOAT */
  ITO_PIXEL_FORMAT_R32F = 3,    /* VK_FORMAT_R32_SFLOAT; models of one channel */
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
  ItoPixelFormat pixel_format;
} ItoSampleInfo;

typedef struct ItoJobProperties {
  ITO_HEADER;
  uint32_t width, height, channels, batch, steps;
  uint32_t classes;          /* class indices are below this; 0: they are not used */
  uint64_t image_floats;     /* numbers of all images together, [batch][height][width][channels] */
  uint64_t pixel_bytes;      /* of all pixels together, [batch][height][width]; 0 without a format */
} ItoJobProperties;

/* One image. It depends on model, sampler, steps, size, precision, seed and class only, never on
 * what shares its batch. */
typedef struct ItoImageRequest {
  uint32_t seed;
  uint32_t class_index; /* not used by models without classes */
} ItoImageRequest;

/* How much one slice may hold. A slice holds at least a part of one dispatch, whatever the budget.
 * Times are estimates, which create_sample_job measured dispatch by dispatch and which the time marks
 * of the slices correct while they run, without waiting. */
typedef struct ItoBudget {
  ITO_HEADER;
  uint32_t gpu_microseconds; /* 0: no limit */
  uint32_t max_dispatches;   /* 0: no limit */
} ItoBudget;

typedef struct ItoProgress {
  ITO_HEADER;
  uint32_t step, steps; /* steps recorded as a whole, of how many */
  VkBool32 recorded;    /* all is recorded */
  VkBool32 complete;    /* and, as far as submit_slice submitted it, done by the device */
  uint32_t gpu_microseconds; /* what the newest slice took that is known to be done; 0: none is */
} ItoProgress;

/* Where record_image writes one image of the batch: a part of a colour image that can be copied to
 * (VK_IMAGE_USAGE_TRANSFER_DST_BIT), of a format that fits the job's, owned by the context's queue
 * family. The subresource is taken from the layout, stages and accesses before to those after. */
typedef struct ItoImageTarget {
  ITO_HEADER;
  uint32_t image_index; /* in the batch */
  VkImage image;
  VkOffset2D offset; /* of the upper left pixel */
  uint32_t mip_level, array_layer;
  VkImageLayout layout_before, layout_after; /* before: VK_IMAGE_LAYOUT_UNDEFINED loses the rest */
  VkPipelineStageFlags stages_before, stages_after; /* 0: all commands */
  VkAccessFlags access_before, access_after;        /* of the host's own use, before and after */
} ItoImageTarget;

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

  /* Compiles all that the job needs and, where there is a queue, runs a few steps to measure them;
   * waits. Afterwards no
   * function on the job but read_images, read_pixels and destroy_job allocates, compiles or waits.
   * Errors: INVALID_ARGUMENT a name, number or size; UNSUPPORTED what the model or device cannot. */
  ItoResult(ITO_CALL *create_sample_job)(ItoModel model, const ItoSampleInfo *info, ItoJob *job);
  /* Waits for what submit_slice submitted. What the host recorded must have been executed, or never
   * be. */
  void(ITO_CALL *destroy_job)(ItoJob job);
  ItoResult(ITO_CALL *get_job_properties)(ItoJob job, ItoJobProperties *properties);

  /* Begins images of these requests; `count` is the job's batch. What was begun before and is not
   * recorded is forgotten. Call it before the first slice. Touches no memory of the device: the
   * next slice does. Errors: INVALID_ARGUMENT another count, a class that does not exist. */
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

  /* Records a copy of one image's pixels into an image of the host's, behind the slices recorded so
   * far: before `recorded` it shows an unfinished or an earlier image. Errors: INVALID_ARGUMENT an
   * index, a null handle; UNSUPPORTED a job without a pixel format. */
  ItoResult(ITO_CALL *record_image)(ItoJob job, VkCommandBuffer commands,
                                    const ItoImageTarget *target);

  /* Gives the images as numbers in about [-1, 1], [batch][height][width][channels], or their pixels
   * [batch][height][width]. Waits for what submit_slice submitted; what the host recorded must have
   * been executed. `size` is in bytes and must be all of them (ItoJobProperties). Errors:
   * INVALID_ARGUMENT a size; NOT_READY not all is recorded; DIVERGED naming the step. */
  ItoResult(ITO_CALL *read_images)(ItoJob job, float *images, size_t size);
  ItoResult(ITO_CALL *read_pixels)(ItoJob job, void *pixels, size_t size);

  /* For contexts without a queue: records what load_model and create_sample_job left to be written
   * to the device, in order, as much as the budget holds (at 2 GB/s), at least a part. ITO_NOT_READY:
   * there is more. These command buffers are executed in the order of recording, each once, before
   * slices of jobs that were made till then. By one thread at a time, while no job or model of the
   * context is destroyed. Records nothing and gives ITO_OK where nothing is left, as ever with a
   * queue, and with memory that the host sees. Since version 2. */
  ItoResult(ITO_CALL *record_uploads)(ItoContext context, VkCommandBuffer commands,
                                      const ItoBudget *budget);
  /* What record_uploads recorded so far has been executed: gives back the memory it lay in. Since
   * version 2. */
  ItoResult(ITO_CALL *release_uploads)(ItoContext context);
} ItoApi;

/* Fills the table. `version`: ITO_API_VERSION of this header; `size`: sizeof(ItoApi). Errors:
 * ITO_ERROR_UNSUPPORTED where the library is older than the header. */
ITO_EXPORT ItoResult ITO_CALL ito_get_api(uint32_t version, size_t size, ItoApi *api);

#ifdef __cplusplus
}
#endif

#endif
