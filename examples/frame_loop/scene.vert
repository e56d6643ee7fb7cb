#version 450
// A cube (36 vertices) and the floor under it (6), made from the vertex's index.
layout(push_constant) uniform Push {
  mat4 world;   // of the cube
  mat4 camera;  // perspective and view
}
push;
layout(location = 0) out vec2 uv;
layout(location = 1) out vec3 normal;
layout(location = 2) out vec3 place;
layout(location = 3) flat out int floor_;

const vec2 kCorners[6] = vec2[](vec2(0, 0), vec2(1, 0), vec2(1, 1), vec2(0, 0), vec2(1, 1), vec2(0, 1));

void main() {
  vec2 corner = kCorners[gl_VertexIndex % 6];
  int face = gl_VertexIndex / 6;
  uv = corner;
  floor_ = face == 6 ? 1 : 0;
  if (face == 6) {
    place = vec3(12 * (corner - 0.5), -1.3).xzy;
    normal = vec3(0, 1, 0);
  } else {
    // Each axis has two faces; the picture stands upright on the four sides.
    vec3 local = face < 4 ? vec3(2 * corner.x - 1, 1 - 2 * corner.y, 1)
                          : vec3(2 * corner.x - 1, 1, 2 * corner.y - 1);
    vec3 up = face < 4 ? vec3(0, 0, 1) : vec3(0, 1, 0);
    if (face < 4) {
      float angle = 1.57079632679 * face;
      mat2 turn = mat2(round(cos(angle)), round(sin(angle)), -round(sin(angle)), round(cos(angle)));
      local.xz = turn * local.xz;
      up.xz = turn * up.xz;
    } else if (face == 5) {
      local.yz = -local.yz;
      up = -up;
    }
    place = (push.world * vec4(local, 1)).xyz;
    normal = mat3(push.world) * up;
  }
  gl_Position = push.camera * vec4(place, 1);
}
