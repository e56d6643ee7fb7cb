// Network: one value for whatever maps a sample to an output: a configuration, the parameters it
// declares, a signature that says what it is told, and the function that builds its graph. Losses,
// samplers and sessions see this and never a family. Not the families themselves (a file each) and
// not the weights (flat numbers beside it).
#pragma once

#include <any>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/network_config.h"
#include "base/result.h"
#include "nn/scope.h"

namespace ito {

// How a network is told the time.
enum class TimeInput : uint8_t {
  kNone,
  kTimestep,  // what its process tells: an index of a discrete chain, c_noise …
  kSigma,     // the noise level σ; its output is then a score
};

// How a network is told a class.
struct ClassInput {
  enum class Kind : uint8_t {
    kNone,
    kIndices,     // u32 [n], each below `count`
    kValues,      // f32 [n]
    kEmbeddings,  // f32 [n, count]
  };
  Kind kind = Kind::kNone;
  int64_t count = 0;
  // Rows of the class table; 0 for a network that is told no class or told it otherwise.
  int classes() const { return kind == Kind::kIndices ? static_cast<int>(count) : 0; }
  bool told() const { return kind != Kind::kNone; }
  // Of the tensor that n samples are told.
  Shape shape(int64_t n) const { return kind == Kind::kEmbeddings ? Shape{n, count} : Shape{n}; }
  DType dtype() const { return kind == Kind::kIndices ? DType::kU32 : DType::kF32; }
  // "class labels", "numbers", "embeddings", "nothing".
  std::string what() const;
};

// What goes into a network and what comes out.
struct Signature {
  int64_t in_channels = 0;   // last axis of the sample, [n,h,w,c] or [n,c]
  int64_t out_channels = 0;  // last axis of the output
  bool image_out = true;     // the output is an image as the sample is; else [n, out_channels]
  // Height and width it was made for; other sizes may run too (Network::check_size).
  std::optional<std::array<int, 2>> sample_size = {};
  TimeInput time = TimeInput::kTimestep;
  ClassInput classes = {};
  int64_t context = 0;         // features of the context's states; 0: it attends to none
  int64_t context_length = 0;  // their number, where it is settled (Network::with_context)
  int64_t guidance = 0;        // features of the embedded guidance scale; 0: none
  int64_t latent = 0;  // length of a normal latent that every evaluation takes (a GAN); 0: none

  bool told_time() const { return time != TimeInput::kNone; }
  bool told_sigma() const { return time == TimeInput::kSigma; }
};

// What a network is told besides the sample and the time. A tensor is there exactly where the
// signature says so.
struct Conditioning {
  Tensor classes = {};   // as Signature::classes says
  Tensor context = {};   // f32 [n, length, Signature::context]: the states that it attends to
  Tensor guidance = {};  // f32 [n, Signature::guidance]
  Tensor latent = {};    // f32 [n, Signature::latent]
};

// Names of a graph's inputs for a conditioning.
struct ConditioningNames {
  const char* classes = "labels";
  const char* context = "context";
  const char* guidance = "guidance";
  const char* latent = "latent";
};
// Adds the inputs that a network of this signature wants for n samples; where it attends to a
// context, its length must be settled (CHECK). A name that is null adds none.
Conditioning conditioning_inputs(Graph& graph, const Signature& signature, int64_t n,
                                 const ConditioningNames& names = {});

// Builds the graph: x and t as the signature says (t empty with TimeInput::kNone).
using NetworkFunction =
    std::function<Tensor(const Scope& scope, Tensor x, Tensor t, const Conditioning& conditioning)>;

// What a network that goes through a latent image also is: its two halves.
struct Autoencoder {
  int64_t latent_channels = 4;
  int64_t factor = 8;  // pixels per latent along each side
  double scale = 1;    // a diffusion works on (latent - shift) * scale
  double shift = 0;
  int64_t tile = 0;  // side of the pictures that are decoded in one piece; 0: any
  // x [n,h,w,c] → moments [n,h/factor,w/factor,2 latent_channels]: means, then log variances.
  std::function<Tensor(const Scope&, Tensor)> encode;
  // latent [n,h,w,latent_channels] → [n,factor h,factor w,c].
  std::function<Tensor(const Scope&, Tensor)> decode;
};
// Mean and standard deviation of the moments' Gaussian. Logarithms of variances are limited to
// [-30, 20], as diffusers does.
struct LatentGaussian {
  Tensor mean, std;
};
LatentGaussian latent_gaussian(Tensor moments);

// What a network that judges images also is: numbers that it sees in clean ones, few enough that
// sets of images can be compared by them.
struct ImageFeatures {
  int64_t count = 0;
  // x [n,h,w,c] in [-1, 1] → [n, count].
  std::function<Tensor(const Scope&, Tensor)> build;
};

// What a family's file says of one of its networks.
struct NetworkDefinition {
  std::string_view row;  // its name in nn/networks.h
  NetworkConfig config;
  Signature signature = {};
  NetworkFunction build = {};
  std::function<Status(int64_t h, int64_t w)> check_size = {};  // empty: any
  std::optional<Autoencoder> autoencoder = {};
  std::optional<ImageFeatures> features = {};
};

// A cheap copy of a shared constant. An empty one (default) may only be assigned to.
class Network {
 public:
  Network() = default;
  // `own`: the parameters that definition.build asks for.
  Network(NetworkDefinition definition, ParameterSet own);

  std::string_view row() const { return definition().row; }
  // Error kUnsupported naming `where`: it is not the network of that row.
  Status expect_row(std::string_view wanted, const std::string& where) const;
  const NetworkConfig& config() const { return definition().config; }
  // The configuration as a family's struct; null if it is another family's.
  template <typename Config>
  const Config* config_as() const {
    return std::any_cast<Config>(&definition().config);
  }
  const Signature& signature() const { return definition().signature; }
  // The halves of an autoencoder; null for any other network.
  const Autoencoder* autoencoder() const {
    return definition().autoencoder ? &*definition().autoencoder : nullptr;
  }
  // What it sees in images; null for a network that does not judge them.
  const ImageFeatures* features() const {
    return definition().features ? &*definition().features : nullptr;
  }

  // Where its weights lie: set().size() flat numbers hold them, and maybe others' (among()).
  const ParameterSet& set() const { return *set_; }
  // Its own parameters, whatever lies beside them.
  const ParameterSet& own_parameters() const { return *own_; }
  // The same network whose parameters lie among those of `set`, which has all of them (CHECK).
  Network among(ParameterSet set) const;

  // The same network, of whose parameters those of these names are not trained.
  Network with_frozen(const std::function<bool(std::string_view name)>& which) const;

  // The same network with contexts of `length` states: its signature says so.
  Network with_context(int64_t length) const;

  // The same network with its parameters in as many segments as the device wants, always the same
  // for the same device. Error kUnsupported naming a parameter that is too large for it.
  Result<Network> for_device(const DeviceCaps& caps) const;

  // The output for x, t and conditioning, with parameters from `scope` or the flat tensors of
  // set()'s segments (the one flat tensor [set().size()]). Inputs that do not fit the signature are
  // CHECKs.
  Tensor build(const Scope& scope, Tensor x, Tensor t, const Conditioning& conditioning = {}) const;
  Tensor build(const FlatTensors& flat, Tensor x, Tensor t,
               const Conditioning& conditioning = {}) const;
  Tensor build(Tensor flat, Tensor x, Tensor t, const Conditioning& conditioning = {}) const;

  // Whether images of height h and width w can pass; the error names the side.
  Status check_size(int64_t h, int64_t w) const;

 private:
  const NetworkDefinition& definition() const {
    CHECK(definition_ != nullptr, "an empty network was used");
    return *definition_;
  }

  std::shared_ptr<const NetworkDefinition> definition_;
  std::shared_ptr<const ParameterSet> own_, set_;
};

}  // namespace ito
