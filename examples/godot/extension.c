/* The class ItoSampler for Godot's scripts, by the C interface of GDExtension: a table of methods
 * on Sampler. */
#include <gdextension_interface.h>
#include <stdlib.h>
#include <string.h>

#include "sampler.h"

enum { kMostArguments = 6 };

#define kString GDEXTENSION_VARIANT_TYPE_STRING
#define kInt GDEXTENSION_VARIANT_TYPE_INT
#define kFloat GDEXTENSION_VARIANT_TYPE_FLOAT

typedef union Value {
  int64_t i;
  double f;
  char *s; /* owned */
} Value;

typedef struct Method {
  const char *name;
  int64_t (*call)(Sampler *sampler, const Value *arguments);
  uint32_t count;
  GDExtensionVariantType types[kMostArguments];
} Method;

/* In the sizes of 64 bits: a String and a StringName are a pointer. */
typedef struct Name {
  void *opaque;
} Name;

static struct {
  GDExtensionClassLibraryPtr library;
  GDExtensionInterfaceStringNameNewWithLatin1Chars name_new;
  GDExtensionInterfaceStringNewWithUtf8Chars string_new;
  GDExtensionInterfaceStringToUtf8Chars string_text;
  GDExtensionInterfaceClassdbConstructObject2 construct;
  GDExtensionInterfaceObjectSetInstance set_instance;
  GDExtensionInterfaceVariantGetType type_of;
  GDExtensionVariantFromTypeConstructorFunc from_int, from_string;
  GDExtensionTypeFromVariantConstructorFunc to_int, to_float, to_string;
  GDExtensionPtrDestructor drop_string, drop_name;
  Name class_name, parent_name;
} godot;

/* ------------------------------------------------------------------------------- methods */

static int64_t open_(Sampler *s, const Value *a) {
  return sampler_open(s, (uint64_t)a[0].i, (uint64_t)a[1].i, (uint64_t)a[2].i, (uint64_t)a[3].i,
                      (uint32_t)a[4].i, a[5].s);
}
static int64_t load(Sampler *s, const Value *a) {
  return sampler_load(s, a[0].s, a[1].s, (uint32_t)a[2].i, a[3].f);
}
static int64_t begin(Sampler *s, const Value *a) {
  return sampler_begin(s, (uint32_t)a[0].i, (uint32_t)a[1].i);
}
static int64_t advance(Sampler *s, const Value *a) {
  return sampler_advance(s, (uint64_t)a[0].i, (uint32_t)a[1].i);
}
static int64_t width(Sampler *s, const Value *a) { return (void)a, sampler_width(s); }
static int64_t height(Sampler *s, const Value *a) { return (void)a, sampler_height(s); }
static int64_t step(Sampler *s, const Value *a) { return (void)a, sampler_step(s); }
static int64_t steps(Sampler *s, const Value *a) { return (void)a, sampler_steps(s); }

static const Method methods[] = {
    {"open", open_, 6, {kInt, kInt, kInt, kInt, kInt, kString}},
    {"load", load, 4, {kString, kString, kInt, kFloat}},
    {"begin", begin, 2, {kInt, kInt}},
    {"advance", advance, 2, {kInt, kInt}},
    {"width", width, 0, {kInt}},
    {"height", height, 0, {kInt}},
    {"step", step, 0, {kInt}},
    {"steps", steps, 0, {kInt}},
    {"error", NULL, 0, {kInt}}, /* the one that gives a String */
};

/* ------------------------------------------------------------------------------- calls */

static char *text_of(GDExtensionConstStringPtr string) {
  const GDExtensionInt size = godot.string_text(string, NULL, 0);
  char *text = calloc((size_t)size + 1, 1);
  if (text != NULL) godot.string_text(string, text, size);
  return text;
}

static Value from_pointer(GDExtensionVariantType type, GDExtensionConstTypePtr pointer) {
  Value value;
  memset(&value, 0, sizeof value);
  if (type == kInt) value.i = *(const int64_t *)pointer;
  if (type == kFloat) value.f = *(const double *)pointer;
  if (type == kString) value.s = text_of(pointer);
  return value;
}

static Value from_variant(GDExtensionVariantType type, GDExtensionConstVariantPtr variant) {
  Value value;
  Name string;
  memset(&value, 0, sizeof value);
  if (type == kInt) godot.to_int(&value.i, (GDExtensionVariantPtr)variant);
  if (type == kFloat) godot.to_float(&value.f, (GDExtensionVariantPtr)variant);
  if (type == kString) {
    godot.to_string(&string, (GDExtensionVariantPtr)variant);
    value.s = text_of(&string);
    godot.drop_string(&string);
  }
  return value;
}

/* Calls, and drops the strings. A string that had no memory is an error of the call's. */
static int64_t call(const Method *method, Sampler *sampler, Value *values) {
  int64_t result = -1;
  uint32_t i, whole = 1;
  for (i = 0; i < method->count; ++i) whole &= method->types[i] != kString || values[i].s != NULL;
  if (whole) result = method->call(sampler, values);
  for (i = 0; i < method->count; ++i)
    if (method->types[i] == kString) free(values[i].s);
  return result;
}

static void call_by_pointers(void *userdata, GDExtensionClassInstancePtr instance,
                             const GDExtensionConstTypePtr *arguments, GDExtensionTypePtr result) {
  const Method *method = userdata;
  Value values[kMostArguments];
  uint32_t i;
  for (i = 0; i < method->count; ++i) values[i] = from_pointer(method->types[i], arguments[i]);
  if (method->call == NULL) {
    godot.drop_string(result);
    godot.string_new(result, sampler_error(instance));
  } else {
    *(int64_t *)result = call(method, instance, values);
  }
}

static void call_by_variants(void *userdata, GDExtensionClassInstancePtr instance,
                             const GDExtensionConstVariantPtr *arguments, GDExtensionInt count,
                             GDExtensionVariantPtr result, GDExtensionCallError *error) {
  const Method *method = userdata;
  Value values[kMostArguments];
  Name string;
  int64_t number;
  uint32_t i;
  error->error = GDEXTENSION_CALL_OK;
  if (count != method->count) {
    error->error = count < method->count ? GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS
                                         : GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS;
    error->expected = (int32_t)method->count;
    return;
  }
  for (i = 0; i < method->count; ++i) {
    const GDExtensionVariantType given = godot.type_of(arguments[i]);
    if (given == method->types[i] || (given == kInt && method->types[i] == kFloat)) continue;
    error->error = GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT;
    error->argument = (int32_t)i;
    error->expected = (int32_t)method->types[i];
    return;
  }
  for (i = 0; i < method->count; ++i) values[i] = from_variant(method->types[i], arguments[i]);
  if (method->call == NULL) {
    godot.string_new(&string, sampler_error(instance));
    godot.from_string(result, &string);
    godot.drop_string(&string);
  } else {
    number = call(method, instance, values);
    godot.from_int(result, &number);
  }
}

/* ------------------------------------------------------------------------------- the class */

static GDExtensionObjectPtr create_instance(void *userdata, GDExtensionBool notify) {
  const GDExtensionObjectPtr object = godot.construct(&godot.parent_name);
  (void)userdata, (void)notify;
  godot.set_instance(object, &godot.class_name, sampler_new());
  return object;
}

static void free_instance(void *userdata, GDExtensionClassInstancePtr instance) {
  (void)userdata;
  if (instance != NULL) sampler_free(instance);
}

static Name name_of(const char *text) {
  Name name;
  godot.name_new(&name, text, 0);
  return name;
}

static void add_method(GDExtensionInterfaceClassdbRegisterExtensionClassMethod add,
                       const Method *method) {
  Name name = name_of(method->name), argument = name_of("value"), none = name_of("");
  Name hint;
  GDExtensionPropertyInfo result, arguments[kMostArguments];
  GDExtensionClassMethodArgumentMetadata metadata[kMostArguments];
  GDExtensionClassMethodInfo info;
  uint32_t i;
  godot.string_new(&hint, "");
  memset(&result, 0, sizeof result);
  result.name = &argument;
  result.class_name = &none;
  result.hint_string = &hint;
  result.usage = 6; /* PROPERTY_USAGE_DEFAULT */
  for (i = 0; i < kMostArguments; ++i) {
    arguments[i] = result;
    arguments[i].type = method->types[i];
    metadata[i] = GDEXTENSION_METHOD_ARGUMENT_METADATA_NONE;
  }
  result.type = method->call == NULL ? kString : kInt;
  memset(&info, 0, sizeof info);
  info.name = &name;
  info.method_userdata = (void *)method;
  info.call_func = call_by_variants;
  info.ptrcall_func = call_by_pointers;
  info.method_flags = GDEXTENSION_METHOD_FLAGS_DEFAULT;
  info.has_return_value = 1;
  info.return_value_info = &result;
  info.argument_count = method->count;
  info.arguments_info = arguments;
  info.arguments_metadata = metadata;
  add(godot.library, &godot.class_name, &info);
  godot.drop_string(&hint);
  godot.drop_name(&name);
  godot.drop_name(&argument);
  godot.drop_name(&none);
}

static GDExtensionInterfaceGetProcAddress address_of;

static void initialize(void *userdata, GDExtensionInitializationLevel level) {
  GDExtensionClassCreationInfo4 info;
  GDExtensionInterfaceClassdbRegisterExtensionClassMethod add;
  GDExtensionInterfaceClassdbRegisterExtensionClass4 add_class;
  size_t i;
  (void)userdata;
  if (level != GDEXTENSION_INITIALIZATION_SCENE) return;
  godot.class_name = name_of("ItoSampler");
  godot.parent_name = name_of("RefCounted");
  memset(&info, 0, sizeof info);
  info.is_exposed = 1;
  info.create_instance_func = create_instance;
  info.free_instance_func = free_instance;
  add_class = (GDExtensionInterfaceClassdbRegisterExtensionClass4)address_of(
      "classdb_register_extension_class4");
  add_class(godot.library, &godot.class_name, &godot.parent_name, &info);
  add = (GDExtensionInterfaceClassdbRegisterExtensionClassMethod)address_of(
      "classdb_register_extension_class_method");
  for (i = 0; i < sizeof methods / sizeof *methods; ++i) add_method(add, &methods[i]);
}

static void deinitialize(void *userdata, GDExtensionInitializationLevel level) {
  GDExtensionInterfaceClassdbUnregisterExtensionClass drop;
  (void)userdata;
  if (level != GDEXTENSION_INITIALIZATION_SCENE) return;
  drop = (GDExtensionInterfaceClassdbUnregisterExtensionClass)address_of(
      "classdb_unregister_extension_class");
  drop(godot.library, &godot.class_name);
  godot.drop_name(&godot.class_name);
  godot.drop_name(&godot.parent_name);
}

/* What Godot calls when it loads the library (ito.gdextension). */
__attribute__((visibility("default"))) GDExtensionBool ito_godot_library(
    GDExtensionInterfaceGetProcAddress get, GDExtensionClassLibraryPtr library,
    GDExtensionInitialization *initialization);
GDExtensionBool ito_godot_library(GDExtensionInterfaceGetProcAddress get,
                                  GDExtensionClassLibraryPtr library,
                                  GDExtensionInitialization *initialization) {
  GDExtensionInterfaceGetVariantFromTypeConstructor from;
  GDExtensionInterfaceGetVariantToTypeConstructor to;
  GDExtensionInterfaceVariantGetPtrDestructor drop;
  address_of = get;
  godot.library = library;
  godot.name_new =
      (GDExtensionInterfaceStringNameNewWithLatin1Chars)get("string_name_new_with_latin1_chars");
  godot.string_new = (GDExtensionInterfaceStringNewWithUtf8Chars)get("string_new_with_utf8_chars");
  godot.string_text = (GDExtensionInterfaceStringToUtf8Chars)get("string_to_utf8_chars");
  godot.construct = (GDExtensionInterfaceClassdbConstructObject2)get("classdb_construct_object2");
  godot.set_instance = (GDExtensionInterfaceObjectSetInstance)get("object_set_instance");
  godot.type_of = (GDExtensionInterfaceVariantGetType)get("variant_get_type");
  from =
      (GDExtensionInterfaceGetVariantFromTypeConstructor)get("get_variant_from_type_constructor");
  to = (GDExtensionInterfaceGetVariantToTypeConstructor)get("get_variant_to_type_constructor");
  drop = (GDExtensionInterfaceVariantGetPtrDestructor)get("variant_get_ptr_destructor");
  if (godot.construct == NULL) return 0; /* before Godot 4.4 */
  godot.from_int = from(kInt);
  godot.from_string = from(kString);
  godot.to_int = to(kInt);
  godot.to_float = to(kFloat);
  godot.to_string = to(kString);
  godot.drop_string = drop(kString);
  godot.drop_name = drop(GDEXTENSION_VARIANT_TYPE_STRING_NAME);
  initialization->minimum_initialization_level = GDEXTENSION_INITIALIZATION_SCENE;
  initialization->initialize = initialize;
  initialization->deinitialize = deinitialize;
  return 1;
}
