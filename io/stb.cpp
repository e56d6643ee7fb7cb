// The one place where the body of stb_image_write is compiled. Files are written by io/file.h, so
// stb touches memory only; and it only writes: pictures are read by io/pictures.
#include <cstdlib>
#include <new>

namespace ito {
namespace {

// stb goes on writing where it got no memory. So it gets none, and is left: its functions hold
// nothing but memory.
void* stb_memory(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace ito

#define STBIW_MALLOC(bytes) ito::stb_memory(std::malloc(bytes))
#define STBIW_REALLOC(memory, bytes) ito::stb_memory(std::realloc(memory, bytes))
#define STBIW_FREE(memory) std::free(memory)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
