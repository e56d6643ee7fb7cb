// The layer of faults (layers/faults), by a program that uses nothing of Ito. The layer reads the
// environment once a process, so each case runs in a child.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vulkan/vulkan_core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// What a case found wrong.
class Findings {
 public:
  void expect(bool good, const std::string& what) {
    if (!good) text_ += what + "; ";
  }
  template <typename A, typename B>
  void equal(const A& found, const B& expected, const std::string& what) {
    std::ostringstream text;
    text << what << " is " << found << ", expected " << expected;
    expect(found == expected, text.str());
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Runs `body` in a child with the variables set; gives what it found wrong, or how it ended.
std::string in_child(const Variables& variables, const std::function<void(Findings&)>& body) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    Findings findings;
    body(findings);
    const ssize_t written = write(pipe_ends[1], findings.text().data(), findings.text().size());
    exit(written == static_cast<ssize_t>(findings.text().size()) ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string text;
  char bytes[512];
  for (ssize_t n = 0; (n = read(pipe_ends[0], bytes, sizeof(bytes))) > 0;)
    text.append(bytes, static_cast<size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    text += "the child ended with " + std::to_string(status);
  return text;
}

// A Vulkan instance and device with the layer between.
class Vulkan {
 public:
  Vulkan() {
    library_ = dlopen("libvulkan.so.1", RTLD_NOW);
    get_ = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library_, "vkGetInstanceProcAddr"));
  }
  VkResult create_instance() {
    const char* const layers[] = {"VK_LAYER_ITO_faults"};
    VkApplicationInfo application = {};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = layers;
    const VkResult result =
        global<PFN_vkCreateInstance>("vkCreateInstance")(&info, nullptr, &instance);
    if (result != VK_SUCCESS) return result;
    uint32_t one = 1;
    call<PFN_vkEnumeratePhysicalDevices>("vkEnumeratePhysicalDevices")(instance, &one, &physical);
    return result;
  }
  // `features`: a chain; `extension` may be null.
  VkResult create_device(const void* features = nullptr, const char* extension = nullptr,
                         uint32_t queues = 1) {
    const float priorities[2] = {1, 1};
    VkDeviceQueueCreateInfo queue_info = {};
    queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue_info.queueCount = queues;
    queue_info.pQueuePriorities = priorities;
    VkDeviceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = features;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue_info;
    info.enabledExtensionCount = extension != nullptr ? 1 : 0;
    info.ppEnabledExtensionNames = &extension;
    const VkResult result =
        call<PFN_vkCreateDevice>("vkCreateDevice")(physical, &info, nullptr, &device);
    if (result == VK_SUCCESS) call<PFN_vkGetDeviceQueue>("vkGetDeviceQueue")(device, 0, 0, &queue);
    return result;
  }
  VkResult create_fence(VkFence* fence) {
    VkFenceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    return device_call<PFN_vkCreateFence>("vkCreateFence")(device, &info, nullptr, fence);
  }
  VkResult allocate(VkDeviceSize bytes, VkDeviceMemory* memory) {
    VkMemoryAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.allocationSize = bytes;
    return device_call<PFN_vkAllocateMemory>("vkAllocateMemory")(device, &info, nullptr, memory);
  }
  VkResult submit(VkFence fence = VK_NULL_HANDLE) {
    return device_call<PFN_vkQueueSubmit>("vkQueueSubmit")(queue, 0, nullptr, fence);
  }
  void destroy() {
    if (device != VK_NULL_HANDLE)
      device_call<PFN_vkDestroyDevice>("vkDestroyDevice")(device, nullptr);
    call<PFN_vkDestroyInstance>("vkDestroyInstance")(instance, nullptr);
  }
  std::vector<std::string> extensions() {
    const auto list =
        call<PFN_vkEnumerateDeviceExtensionProperties>("vkEnumerateDeviceExtensionProperties");
    uint32_t count = 0;
    list(physical, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> all(count);
    list(physical, nullptr, &count, all.data());
    std::vector<std::string> names;
    for (const VkExtensionProperties& one : all) names.emplace_back(one.extensionName);
    return names;
  }

  template <typename Pfn>
  Pfn global(const char* name) {
    return reinterpret_cast<Pfn>(get_(VK_NULL_HANDLE, name));
  }
  template <typename Pfn>
  Pfn call(const char* name) {
    return reinterpret_cast<Pfn>(get_(instance, name));
  }
  template <typename Pfn>
  Pfn device_call(const char* name) {
    return reinterpret_cast<Pfn>(
        call<PFN_vkGetDeviceProcAddr>("vkGetDeviceProcAddr")(device, name));
  }

  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;

 private:
  void* library_ = nullptr;
  PFN_vkGetInstanceProcAddr get_ = nullptr;
};

// With an instance, and a device without features.
void with_device(Findings& findings, const std::function<void(Vulkan&)>& body) {
  Vulkan vulkan;
  findings.equal(vulkan.create_instance(), VK_SUCCESS, "vkCreateInstance");
  findings.equal(vulkan.create_device(), VK_SUCCESS, "vkCreateDevice");
  if (!findings.text().empty()) return;
  body(vulkan);
  vulkan.destroy();
}

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST(FaultLayer, MasksLimitsInPlainStructuresAndInChains) {
  const std::string found = in_child(
      {{"ITO_FAULTS_MASK",
        "invocations=64,shared=8192,allocation=1048576,storage_range=65536,groups=70000,subgroup="
        "128,"
        "no_subgroup_arithmetic,type=discrete,api=1.2,heap=268435456,push_constants=128"}},
      [](Findings& findings) {
        with_device(findings, [&](Vulkan& vulkan) {
          VkPhysicalDeviceProperties plain;
          vulkan.call<PFN_vkGetPhysicalDeviceProperties>("vkGetPhysicalDeviceProperties")(
              vulkan.physical, &plain);
          VkPhysicalDeviceSubgroupProperties subgroup = {};
          subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
          VkPhysicalDeviceVulkan11Properties v11 = {};
          v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
          VkPhysicalDeviceProperties2 chained = {};
          chained.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
          chained.pNext = &v11;
          const auto ask =
              vulkan.call<PFN_vkGetPhysicalDeviceProperties2>("vkGetPhysicalDeviceProperties2");
          ask(vulkan.physical, &chained);
          chained.pNext = &subgroup;
          ask(vulkan.physical, &chained);
          for (const VkPhysicalDeviceProperties& p : {plain, chained.properties}) {
            findings.equal(p.limits.maxComputeWorkGroupInvocations, 64u, "invocations");
            findings.equal(p.limits.maxComputeWorkGroupSize[1], 64u, "size along y");
            findings.equal(p.limits.maxComputeSharedMemorySize, 8192u, "shared memory");
            findings.equal(p.limits.maxStorageBufferRange, 65536u, "range");
            findings.equal(p.limits.maxPushConstantsSize, 128u, "push constants");
            findings.expect(p.limits.maxComputeWorkGroupCount[0] <= 70000, "groups");
            findings.equal(p.deviceType, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, "type");
            findings.equal(VK_API_VERSION_MINOR(p.apiVersion), 2u, "minor version");
          }
          findings.equal(v11.maxMemoryAllocationSize, 1048576u, "allocation");
          findings.equal(v11.subgroupSize, 128u, "subgroup size");
          findings.equal(subgroup.subgroupSize, 128u, "subgroup size");
          for (const VkSubgroupFeatureFlags operations :
               {v11.subgroupSupportedOperations, subgroup.supportedOperations}) {
            findings.expect((operations & VK_SUBGROUP_FEATURE_BASIC_BIT) != 0, "basic is gone");
            findings.expect((operations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) == 0,
                            "arithmetic is there");
          }
          VkPhysicalDeviceMemoryProperties memory;
          vulkan.call<PFN_vkGetPhysicalDeviceMemoryProperties>(
              "vkGetPhysicalDeviceMemoryProperties")(vulkan.physical, &memory);
          findings.equal(memory.memoryHeaps[0].size, 268435456u, "heap");
          VkDeviceMemory piece = VK_NULL_HANDLE;
          findings.equal(vulkan.allocate(1048577, &piece), VK_ERROR_OUT_OF_DEVICE_MEMORY,
                         "more than an allocation");
          findings.equal(vulkan.allocate(4096, &piece), VK_SUCCESS, "a small allocation");
          vulkan.device_call<PFN_vkFreeMemory>("vkFreeMemory")(vulkan.device, piece, nullptr);
        });
      });
  EXPECT_EQ(found, "");
}

TEST(FaultLayer, RefusesADeviceWithWhatIsMasked) {
  const std::string found = in_child(
      {{"ITO_FAULTS_MASK",
        "no_16bit,no_timeline_semaphore,no_buffer_device_address,queues=1,"
        "hide=VK_EXT_descriptor_indexing,no_int64"}},
      [](Findings& findings) {
        Vulkan vulkan;
        findings.equal(vulkan.create_instance(), VK_SUCCESS, "vkCreateInstance");
        VkPhysicalDeviceVulkan12Features v12 = {};
        v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
        VkPhysicalDevice16BitStorageFeatures storage = {};
        storage.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
        storage.pNext = &v12;
        VkPhysicalDeviceFeatures2 chain = {};
        chain.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
        chain.pNext = &storage;
        vulkan.call<PFN_vkGetPhysicalDeviceFeatures2>("vkGetPhysicalDeviceFeatures2")(
            vulkan.physical, &chain);
        findings.expect(v12.timelineSemaphore == VK_FALSE, "timeline semaphores are shown");
        findings.expect(v12.bufferDeviceAddress == VK_FALSE, "addresses are shown");
        findings.expect(v12.shaderFloat16 == VK_FALSE, "halves are shown");
        findings.expect(storage.storageBuffer16BitAccess == VK_FALSE, "16-bit storage is shown");
        findings.expect(chain.features.shaderInt64 == VK_FALSE, "int64 is shown");
        findings.expect(v12.scalarBlockLayout == VK_TRUE, "what is not masked is hidden");
        findings.equal(vulkan.create_device(&chain), VK_SUCCESS, "a device of what is shown");
        v12.timelineSemaphore = VK_TRUE;
        findings.equal(vulkan.create_device(&chain), VK_ERROR_FEATURE_NOT_PRESENT,
                       "a device with timeline semaphores");
        v12.timelineSemaphore = VK_FALSE;
        chain.features.shaderInt64 = VK_TRUE;
        findings.equal(vulkan.create_device(&chain), VK_ERROR_FEATURE_NOT_PRESENT,
                       "a device with int64");
        const std::vector<std::string> shown = vulkan.extensions();
        for (const char* name :
             {"VK_KHR_16bit_storage", "VK_KHR_timeline_semaphore", "VK_EXT_descriptor_indexing"}) {
          findings.expect(!holds(shown, name), std::string(name) + " is shown");
          findings.equal(vulkan.create_device(nullptr, name), VK_ERROR_EXTENSION_NOT_PRESENT, name);
        }
        findings.expect(holds(shown, "VK_KHR_maintenance1"), "other extensions are hidden");
        uint32_t families = 0;
        vulkan.call<PFN_vkGetPhysicalDeviceQueueFamilyProperties>(
            "vkGetPhysicalDeviceQueueFamilyProperties")(vulkan.physical, &families, nullptr);
        findings.equal(families, 1u, "queue families");
        findings.equal(vulkan.create_device(nullptr, nullptr, 2), VK_ERROR_INITIALIZATION_FAILED,
                       "a device with two queues");
        vulkan.destroy();
      });
  EXPECT_EQ(found, "");
}

TEST(FaultLayer, FailsTheNthCallOnceOrForEver) {
  const std::string found = in_child(
      {{"ITO_FAULTS_FAIL",
        "vkCreateFence:2:VK_ERROR_OUT_OF_HOST_MEMORY,"
        "vkAllocateMemory:3:VK_ERROR_TOO_MANY_OBJECTS:ever"}},
      [](Findings& findings) {
        with_device(findings, [&](Vulkan& vulkan) {
          for (int n = 1; n <= 4; ++n) {
            VkFence fence = VK_NULL_HANDLE;
            findings.equal(vulkan.create_fence(&fence),
                           n == 2 ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_SUCCESS, "a fence");
            if (n != 2)
              vulkan.device_call<PFN_vkDestroyFence>("vkDestroyFence")(vulkan.device, fence,
                                                                       nullptr);
            VkDeviceMemory memory = VK_NULL_HANDLE;
            findings.equal(vulkan.allocate(4096, &memory),
                           n < 3 ? VK_SUCCESS : VK_ERROR_TOO_MANY_OBJECTS, "an allocation");
            vulkan.device_call<PFN_vkFreeMemory>("vkFreeMemory")(vulkan.device, memory, nullptr);
          }
        });
      });
  EXPECT_EQ(found, "");
}

TEST(FaultLayer, FailedCreationOfAnInstanceOrADeviceLeavesTheNextToSucceed) {
  const std::string found = in_child(
      {{"ITO_FAULTS_FAIL",
        "vkCreateInstance:1:VK_ERROR_OUT_OF_HOST_MEMORY,"
        "vkCreateDevice:1:VK_ERROR_INITIALIZATION_FAILED"}},
      [](Findings& findings) {
        Vulkan vulkan;
        findings.equal(vulkan.create_instance(), VK_ERROR_OUT_OF_HOST_MEMORY, "the first instance");
        findings.equal(vulkan.create_instance(), VK_SUCCESS, "the second instance");
        findings.equal(vulkan.create_device(), VK_ERROR_INITIALIZATION_FAILED, "the first device");
        findings.equal(vulkan.create_device(), VK_SUCCESS, "the second device");
        vulkan.destroy();
      });
  EXPECT_EQ(found, "");
}

TEST(FaultLayer, ADeviceThatIsLostStaysLostAndCanBeDestroyed) {
  const std::string found = in_child({{"ITO_FAULTS_LOSE_AT_SUBMIT", "2"}}, [](Findings& findings) {
    with_device(findings, [&](Vulkan& vulkan) {
      VkFence fence = VK_NULL_HANDLE;
      findings.equal(vulkan.create_fence(&fence), VK_SUCCESS, "a fence");
      const auto wait = [&] {
        return vulkan.device_call<PFN_vkWaitForFences>("vkWaitForFences")(vulkan.device, 1, &fence,
                                                                          VK_TRUE, UINT64_MAX);
      };
      findings.equal(vulkan.submit(fence), VK_SUCCESS, "the first submission");
      findings.equal(wait(), VK_SUCCESS, "waiting for it");
      findings.equal(vulkan.submit(), VK_ERROR_DEVICE_LOST, "the second submission");
      findings.equal(vulkan.submit(), VK_ERROR_DEVICE_LOST, "the third submission");
      findings.equal(wait(), VK_ERROR_DEVICE_LOST, "waiting");
      findings.equal(vulkan.device_call<PFN_vkDeviceWaitIdle>("vkDeviceWaitIdle")(vulkan.device),
                     VK_ERROR_DEVICE_LOST, "waiting for all");
      vulkan.device_call<PFN_vkDestroyFence>("vkDestroyFence")(vulkan.device, fence, nullptr);
    });
  });
  EXPECT_EQ(found, "");
}

// A folder of this test's, removed at its end.
class Folder {
 public:
  Folder() {
    path_ = (std::filesystem::temp_directory_path() / "ito_faults_XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no folder " << path_;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(FaultLayer, CountsCallsOfAllThreadsAndFailures) {
  const Folder folder;
  const std::string found = in_child(
      {{"ITO_FAULTS_COUNT", folder.path() + "/%p"},
       {"ITO_FAULTS_FAIL", "vkGetFenceStatus:7:VK_NOT_READY"}},
      [&](Findings& findings) {
        with_device(findings, [&](Vulkan& vulkan) {
          VkFence fence = VK_NULL_HANDLE;
          vulkan.create_fence(&fence);
          const auto ask = vulkan.device_call<PFN_vkGetFenceStatus>("vkGetFenceStatus");
          std::vector<std::thread> threads;
          for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
              for (int i = 0; i < 1000; ++i) ask(vulkan.device, fence);
            });
          for (std::thread& thread : threads) thread.join();
          vulkan.device_call<PFN_vkDestroyFence>("vkDestroyFence")(vulkan.device, fence, nullptr);
        });
        // Already now, as for a program that ends by _exit; and once more when this one ends.
        const std::string file = folder.path() + "/" + std::to_string(getpid());
        findings.expect(holds(lines_of(file), "vkGetFenceStatus 4000 1"), "no counts in " + file);
        std::filesystem::remove(file);
      });
  EXPECT_EQ(found, "");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
    const std::vector<std::string> lines = lines_of(entry.path().string());
    EXPECT_TRUE(holds(lines, "vkGetFenceStatus 4000 1"));
    EXPECT_TRUE(holds(lines, "vkCreateInstance 1 0"));
    EXPECT_TRUE(holds(lines, "vkDestroyDevice 1 -"));
  }
  EXPECT_EQ(files, 1);
}

TEST(FaultLayer, SettingsThatAreNoneRefuseTheInstance) {
  for (const Variables& variables :
       std::vector<Variables>{{{"ITO_FAULTS_FAIL", "vkNoSuchThing:1:VK_ERROR_UNKNOWN"}},
                              {{"ITO_FAULTS_FAIL", "vkDestroyFence:1:VK_ERROR_UNKNOWN"}},
                              {{"ITO_FAULTS_FAIL", "vkCreateFence:0:VK_ERROR_UNKNOWN"}},
                              {{"ITO_FAULTS_FAIL", "vkCreateFence:1:VK_ERROR_SMALL"}},
                              {{"ITO_FAULTS_FAIL", "vkCreateFence:1"}},
                              {{"ITO_FAULTS_FAIL", "vkCreateFence:1:VK_ERROR_UNKNOWN:never"}},
                              {{"ITO_FAULTS_MASK", "no_such_thing"}},
                              {{"ITO_FAULTS_MASK", "shared=many"}},
                              {{"ITO_FAULTS_MASK", "shared"}},
                              {{"ITO_FAULTS_MASK", "api=1"}},
                              {{"ITO_FAULTS_MASK", "type=toaster"}},
                              {{"ITO_FAULTS_LOSE_AT_SUBMIT", "soon"}}}) {
    const std::string found = in_child(variables, [](Findings& findings) {
      Vulkan vulkan;
      findings.equal(vulkan.create_instance(), VK_ERROR_INITIALIZATION_FAILED, "vkCreateInstance");
    });
    EXPECT_EQ(found, "") << variables[0].second;
  }
}

}  // namespace
