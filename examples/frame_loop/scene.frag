#version 450
layout(set = 0, binding = 0) uniform sampler2D picture;
layout(location = 0) in vec2 uv;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec3 place;
layout(location = 3) flat in int floor_;
layout(location = 0) out vec4 colour;

void main() {
  vec3 light = normalize(vec3(0.5, 0.9, 0.7));
  float bright = 0.45 + 0.55 * max(dot(normalize(normal), light), 0.0);
  vec3 surface = texture(picture, uv).rgb;
  if (floor_ == 1) {
    ivec2 tile = ivec2(floor(place.xz));
    surface = ((tile.x + tile.y) & 1) == 0 ? vec3(0.30, 0.33, 0.40) : vec3(0.22, 0.25, 0.31);
    surface *= 1 - 0.6 * exp(-0.8 * dot(place.xz, place.xz));  // the cube's shadow
  }
  colour = vec4(surface * bright, 1);
}
