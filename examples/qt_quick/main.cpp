// A Qt Quick program in whose scene Ito samples a picture. Qt Quick cannot turn on
// bufferDeviceAddress on a device of its own making; so the device is made here and handed to Qt.
// See README.md.
// clang-format off
// First: Qt's headers hide the functions of Vulkan.
#include "diffusion_item.h"
// clang-format on
#include <QCommandLineParser>
#include <QGuiApplication>
#include <QQmlEngine>
#include <QQuickGraphicsDevice>
#include <QQuickView>
#include <QVulkanInstance>
#include <cstdio>
#include <utility>
#include <vector>

namespace {

struct Host {
  Gpu gpu;
  ItoApi ito = {};
  ito::Context context;
  ito::Model model;
  ito::Job job;
};

// What a call gives, or the end of the program.
template <class T>
T take(ito::Result<T> result) {
  if (!result) fail(result.error().message.c_str());
  return *std::move(result);
}

// What a window of Qt's needs of an instance, where the loader has it.
std::vector<const char*> window_extensions() {
  uint32_t count = 0;
  check(vkEnumerateInstanceExtensionProperties(nullptr, &count, nullptr), "extensions");
  std::vector<VkExtensionProperties> all(count);
  check(vkEnumerateInstanceExtensionProperties(nullptr, &count, all.data()), "extensions");
  std::vector<const char*> names;
  for (const char* name : {"VK_KHR_surface", "VK_KHR_xcb_surface", "VK_KHR_wayland_surface"})
    for (const VkExtensionProperties& one : all)
      if (qstrcmp(one.extensionName, name) == 0) names.push_back(name);
  return names;
}

void make_device(Host& host, bool with_ito) {
  const std::vector<const char*> extensions = window_extensions();
  gpu_open(&host.gpu, "qt_quick", extensions.data(), static_cast<uint32_t>(extensions.size()));
  if (with_ito) {
    host.ito = take(ito::load());
    const ito::Status enabled = ito::enable_features(
        host.ito, vkGetInstanceProcAddr, host.gpu.instance, host.gpu.physical, host.gpu.features);
    if (!enabled) fail(enabled.error().message.c_str());
    for (const char* name : ito::optional_extensions(host.ito))
      if (gpu_has_extension(&host.gpu, name)) gpu_enable_extension(&host.gpu, name);
  }
  gpu_enable_extension(&host.gpu, VK_KHR_SWAPCHAIN_EXTENSION_NAME);
  gpu_create_device(&host.gpu);
}

// Before Qt uses the queue, so that it needs no lock: afterwards Ito only records.
void make_job(Host& host, const QCommandLineParser& options) {
  auto device = ito::make<ItoHostDevice>();
  device.get_instance_proc_addr = vkGetInstanceProcAddr;
  device.instance = host.gpu.instance;
  device.physical_device = host.gpu.physical;
  device.device = host.gpu.device;
  device.api_version = VK_API_VERSION_1_2;
  device.enabled_features = &host.gpu.features;
  device.enabled_extensions = host.gpu.extensions;
  device.enabled_extension_count = host.gpu.extension_count;
  device.queue_family = host.gpu.family;
  device.queue = host.gpu.queue;
  const QByteArray cache = options.value("cache").toLocal8Bit();
  const QByteArray sampler = options.value("sampler").toLatin1();
  const QByteArray folder = options.positionalArguments().at(0).toLocal8Bit();
  auto context = ito::make<ItoContextInfo>();
  context.host = &device;
  context.cache_folder = cache.isEmpty() ? nullptr : cache.constData();
  auto model = ito::make<ItoModelInfo>();
  model.folder = folder.constData();
  auto sample = ito::make<ItoSampleInfo>();
  sample.sampler = sampler.isEmpty() ? nullptr : sampler.constData();
  sample.steps = options.value("steps").toUInt();
  sample.guidance_scale = options.value("guidance").toDouble();
  sample.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  host.context = take(ito::Context::create(host.ito, context));
  host.model = take(host.context.load_model(model));
  host.job = take(host.model.create_sample_job(sample));
  const ito::Status begun = host.job.restart(
      {{.seed = options.value("seed").toUInt(), .class_index = options.value("class").toUInt()}});
  if (!begun) fail(begun.error().message.c_str());
}

void add_options(QCommandLineParser& options) {
  options.setApplicationDescription("A Qt Quick scene in which Ito samples a picture.");
  options.addHelpOption();
  options.addPositionalArgument("MODEL", "a run of `ito train` or a diffusers folder");
  options.addOptions({{"sampler", "as `ito inspect --list samplers` names them", "name", ""},
                      {"steps", "of it", "n", "0"},
                      {"guidance", "classifier-free guidance", "x", "0"},
                      {"seed", "of the picture", "n", "0"},
                      {"class", "of the picture", "n", "0"},
                      {"budget-us", "of the device's time in each frame", "n", "4000"},
                      {"cache", "for compiled shaders", "folder", ""},
                      {"shot", "writes the finished scene there and ends", "png", ""},
                      {"compare", "fails unless the picture is that of this file", "png", ""},
                      {"without", "no Ito: Qt shows this picture by itself", "png", ""}});
}

bool equals(const QImage& picture, const QString& path) {
  const QImage expected = QImage(path).convertToFormat(QImage::Format_RGBA8888);
  const bool equal = !expected.isNull() && picture == expected;
  std::printf("picture %s %s\n", equal ? "equals" : "DIFFERS FROM", qPrintable(path));
  return equal;
}

// Shows the scene, and gives whether all was as asked.
bool run(Host& host, const QCommandLineParser& options) {
  QVulkanInstance instance;
  instance.setVkInstance(host.gpu.instance);
  QByteArrayList names;
  for (const char* name : window_extensions()) names.append(name);
  instance.setExtensions(names);
  if (!instance.create()) fail("Qt does not take the instance");
  QQuickView view;
  view.setVulkanInstance(&instance);
  view.setGraphicsDevice(QQuickGraphicsDevice::fromDeviceObjects(
      host.gpu.physical, host.gpu.device, static_cast<int>(host.gpu.family)));
  view.setSource(QUrl("qrc:/scene.qml"));
  QQuickItem* scene = view.rootObject();
  auto* item = scene == nullptr ? nullptr : scene->findChild<DiffusionItem*>("picture");
  if (item == nullptr) fail("the scene cannot be read");
  if (host.job)
    item->sample(&host.gpu, &host.job, options.value("budget-us").toUInt());
  else
    item->show_picture(QImage(options.value("without")));

  int frames = 0, after = 0;
  QImage shot;
  QObject::connect(&view, &QQuickWindow::frameSwapped, &view, [&] {
    // The finished scene always stands at the same turn, so that two runs can be compared.
    const bool still = !options.value("shot").isEmpty() && item->finished();
    scene->setProperty("turn", still ? 40.0 : ++frames * 1.5);
    scene->setProperty("done", item->progress());
    if (!still || ++after < 4) {
      view.update();
    } else if (shot.isNull()) {
      shot = view.grabWindow();
      QGuiApplication::quit();
    }
  });
  view.show();
  QGuiApplication::exec();
  std::printf("%d frames\n", frames);
  bool good = true;
  if (!options.value("shot").isEmpty()) good = !shot.isNull() && shot.save(options.value("shot"));
  if (!good) std::fprintf(stderr, "qt_quick: cannot write the picture of the scene\n");
  if (host.job && !options.value("compare").isEmpty()) {
    check(vkDeviceWaitIdle(host.gpu.device), "vkDeviceWaitIdle");
    good &= item->finished() && equals(item->picture(), options.value("compare"));
  }
  return good;
}

}  // namespace

int main(int count, char** arguments) {
  QGuiApplication application(count, arguments);
  QQuickWindow::setGraphicsApi(QSGRendererInterface::Vulkan);
  qmlRegisterType<DiffusionItem>("Ito.Example", 1, 0, "Diffusion");
  QCommandLineParser options;
  add_options(options);
  options.process(application);
  const bool with_ito = options.value("without").isEmpty();
  if (with_ito && options.positionalArguments().size() != 1) options.showHelp(2);
  Host host;
  make_device(host, with_ito);
  if (with_ito) make_job(host, options);
  const bool good = run(host, options);
  // While the device is there.
  host.job.reset();
  host.model.reset();
  host.context.reset();
  gpu_close(&host.gpu);
  return good ? 0 : 1;
}
