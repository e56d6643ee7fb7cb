# Writes OUTPUT, a C++ file which holds the text of every file of SOURCE_FILES (a comma list) by its
# stem. Run as: cmake -DOUTPUT=... -DSOURCE_FILES=a,b -P embed.cmake
string(REPLACE "," ";" files "${SOURCE_FILES}")
set(text "#include \"graph/kernels/glsl_lib.h\"\n\nnamespace ito {\n\n")
string(APPEND text "std::span<const GlslFile> glsl_files() {\n  static constexpr GlslFile kFiles[] = {\n")
foreach(file IN LISTS files)
  get_filename_component(stem "${file}" NAME_WE)
  file(READ "${file}" content)
  string(APPEND text "      {\"${stem}\", R\"glsl(${content})glsl\"},\n")
endforeach()
string(APPEND text "  };\n  return kFiles;\n}\n\n}  // namespace ito\n")
file(WRITE "${OUTPUT}" "${text}")
