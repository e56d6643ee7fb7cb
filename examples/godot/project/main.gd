# Shapes turn about a picture that is sampled meanwhile. Behind `--`:
#   MODEL --sampler NAME --steps N --guidance X --seed N --class N --budget-us N --cache FOLDER
#   --shot PNG       writes the finished scene there and ends
#   --compare PNG    ends with 1 unless the picture is that of this file, byte for byte
#   --without PNG    no Ito: Godot shows this picture by itself
extends Node2D

const ItoPicture := preload("res://ito_picture.gd")
const CENTRE := Vector2(320, 200)

var picture := ItoPicture.new()
var options := {"sampler": "", "steps": "0", "guidance": "0", "seed": "0", "class": "0",
		"budget-us": "4000", "cache": "", "shot": "", "compare": "", "without": ""}
var model := ""
var turn := 0.0
var frames := 0
var frames_after := 0
var done := false
var sprite := Sprite2D.new()

func _ready() -> void:
	var words := OS.get_cmdline_user_args()
	while not words.is_empty():
		var word := words[0]
		words.remove_at(0)
		if not word.begins_with("--"):
			model = word
		elif options.has(word.substr(2)) and not words.is_empty():
			options[word.substr(2)] = words[0]
			words.remove_at(0)
		else:
			return stop("what is %s?" % word)
	if options["without"] != "":
		var image := read(options["without"])
		picture.make_texture(image.get_size(), image.get_data())
		done = true
	elif not picture.open(model, {"sampler": options["sampler"], "steps": int(options["steps"]),
			"guidance": float(options["guidance"]), "cache": options["cache"]}):
		return stop(picture.error)
	picture.finished.connect(func(): done = true)
	sprite.texture = picture.texture
	sprite.position = CENTRE
	sprite.scale = Vector2(7, 7)
	add_child(sprite)
	for i in 12:
		var shape := Polygon2D.new()
		shape.polygon = PackedVector2Array([Vector2(0, -34), Vector2(26, 18), Vector2(-26, 18)])
		shape.color = Color.from_hsv(i / 12.0, 0.55, 0.85)
		add_child(shape)
	place()
	await RenderingServer.frame_post_draw # the texture has been drawn
	await RenderingServer.frame_post_draw
	if not done and not picture.begin(int(options["seed"]), int(options["class"])):
		stop(picture.error)

# The finished scene stands at the same turn always, so that two runs can be compared.
func place() -> void:
	var angle := 40.0 if done and options["shot"] != "" else turn
	sprite.rotation_degrees = 8 * sin(deg_to_rad(2 * angle))
	for i in 12:
		var at := deg_to_rad(angle + 30 * i)
		var shape: Node2D = get_child(1 + i)
		shape.position = CENTRE + Vector2(250 * cos(at), 150 * sin(at))
		shape.rotation = at

func _process(_delta: float) -> void:
	frames += 1
	turn += 1.5
	picture.advance(int(options["budget-us"]))
	if picture.error != "":
		return stop(picture.error)
	place()
	if done and options["shot"] != "":
		frames_after += 1
		if frames_after == 4:
			finish()

func finish() -> void:
	await RenderingServer.frame_post_draw
	get_viewport().get_texture().get_image().save_png(options["shot"])
	var equal := true
	if options["compare"] != "":
		equal = picture.pixels() == read(options["compare"]).get_data()
		print("picture %s %s" % ["equals" if equal else "DIFFERS FROM", options["compare"]])
	print("%d frames" % frames)
	quit(0 if equal else 1)

func read(path: String) -> Image:
	var image := Image.load_from_file(path)
	image.convert(Image.FORMAT_RGBA8)
	return image

func stop(message: String) -> void:
	printerr("godot: " + message)
	quit(1)

func quit(code: int) -> void:
	set_process(false)
	sprite.texture = null
	picture.close()
	get_tree().quit(code)
