// The one place where the body of stb_image_write is compiled. Files are written by io/file.h, so
// stb touches memory only; and it only writes: pictures are read by io/pictures.
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
