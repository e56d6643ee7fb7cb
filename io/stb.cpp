// The one place where the stb libraries' bodies are compiled. Files are read and written by
// io/file.h, so stb touches memory only.
#include <cstddef>
#include <cstring>

namespace {

// stb copies no bytes from or to a null pointer (a PNG whose first IDAT chunk is empty), which
// memcpy does not allow.
void* copy_bytes(void* to, const void* from, size_t size) {
  return size == 0 ? to : std::memcpy(to, from, size);
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
// What stb includes itself must not see the macro below.
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define memcpy copy_bytes
#include <stb_image.h>
#include <stb_image_write.h>
