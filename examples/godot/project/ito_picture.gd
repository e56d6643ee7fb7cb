# ItoPicture: a texture of Godot's that Ito fills, a slice of sampling a frame, on Godot's own device and queue.
#
#   var picture := ItoPicture.new()
#   picture.open("models/emoji", {"sampler": "dpm++2m", "steps": 10, "guidance": 2.0})
#   $Sprite.texture = picture.texture
#   picture.begin(seed, class_index)
#   func _process(_delta): picture.advance(2000)   # microseconds of the device's time
#
# All of it on the thread that renders: the main thread, as `rendering/driver/threads/thread_model` is by
# default. Slices are submitted to Godot's queue between two of its frames.
extends RefCounted

# The texture has the finished image.
signal finished

var texture := Texture2DRD.new()
var error := ""

var _sampler: Object
var _device := RenderingServer.get_rendering_device()
var _rid: RID
var _done := true

# Reads the model, compiles, measures; takes seconds. False: `error` says why. Options: sampler, steps,
# guidance, cache (a folder for compiled shaders).
func open(folder: String, options := {}) -> bool:
	GDExtensionManager.load_extension("res://ito.gdextension")
	_sampler = ClassDB.instantiate("ItoSampler")
	if _sampler == null:
		error = "the extension cannot be loaded"
		return false
	var handles := []
	for resource in [RenderingDevice.DRIVER_RESOURCE_TOPMOST_OBJECT,
			RenderingDevice.DRIVER_RESOURCE_PHYSICAL_DEVICE,
			RenderingDevice.DRIVER_RESOURCE_LOGICAL_DEVICE,
			RenderingDevice.DRIVER_RESOURCE_COMMAND_QUEUE,
			RenderingDevice.DRIVER_RESOURCE_QUEUE_FAMILY]:
		handles.append(_device.get_driver_resource(resource, RID(), 0))
	if _sampler.open(handles[0], handles[1], handles[2], handles[3], handles[4],
			options.get("cache", "")) < 0 \
			or _sampler.load(folder, options.get("sampler", ""), options.get("steps", 0),
			options.get("guidance", 0.0)) < 0:
		error = _sampler.error()
		return false
	var grey := PackedByteArray()
	grey.resize(_sampler.width() * _sampler.height() * 4)
	grey.fill(96)
	make_texture(Vector2i(_sampler.width(), _sampler.height()), grey)
	return true

# The texture with these pixels, RGBA8.
func make_texture(size: Vector2i, pixels: PackedByteArray) -> void:
	var format := RDTextureFormat.new()
	format.format = RenderingDevice.DATA_FORMAT_R8G8B8A8_UNORM
	format.width = size.x
	format.height = size.y
	format.usage_bits = RenderingDevice.TEXTURE_USAGE_SAMPLING_BIT \
			| RenderingDevice.TEXTURE_USAGE_CAN_COPY_TO_BIT | RenderingDevice.TEXTURE_USAGE_CAN_COPY_FROM_BIT
	_rid = _device.texture_create(format, RDTextureView.new(), [pixels])
	texture.texture_rd_rid = _rid

# Before the first advance() the texture must have been drawn once.
func begin(seed_: int, class_index: int) -> bool:
	_done = false
	if _sampler.begin(seed_, class_index) < 0:
		error = _sampler.error()
	return error == ""

func advance(budget_us: int) -> void:
	if _done or error != "":
		return
	var result: int = _sampler.advance(
			_device.get_driver_resource(RenderingDevice.DRIVER_RESOURCE_TEXTURE, _rid, 0), budget_us)
	if result < 0:
		error = _sampler.error()
	elif result == 1:
		_done = true
		finished.emit()

func progress() -> float:
	return 0.0 if _sampler == null else float(_sampler.step()) / _sampler.steps()

# RGBA8, as they are in the texture.
func pixels() -> PackedByteArray:
	return _device.texture_get_data(_rid, 0)

# Before the program ends: nothing of Ito's may outlive Godot's device.
func close() -> void:
	texture.texture_rd_rid = RID()
	_sampler = null
	if _rid.is_valid():
		_device.free_rid(_rid)
