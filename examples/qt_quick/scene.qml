import QtQuick
import Ito.Example

// Cards that turn about the picture; `turn` is the host's clock.
Rectangle {
    id: root
    property real turn: 0
    width: 640
    height: 400
    gradient: Gradient {
        GradientStop { position: 0; color: "#23283a" }
        GradientStop { position: 1; color: "#10121a" }
    }
    Repeater {
        model: 12
        Rectangle {
            required property int index
            x: root.width / 2 - 22 + 250 * Math.cos((root.turn + 30 * index) * Math.PI / 180)
            y: root.height / 2 - 30 + 150 * Math.sin((root.turn + 30 * index) * Math.PI / 180)
            width: 44
            height: 60
            radius: 8
            rotation: root.turn + 30 * index
            color: Qt.hsva(index / 12, 0.55, 0.85, 1)
        }
    }
    Rectangle {
        anchors.centerIn: parent
        width: 244
        height: 244
        radius: 10
        color: "#f4efe2"
        rotation: 8 * Math.sin(root.turn * Math.PI / 90)
        Diffusion {
            objectName: "picture"
            anchors.centerIn: parent
            width: 224
            height: 224
        }
    }
    Rectangle {
        anchors { left: parent.left; bottom: parent.bottom }
        height: 5
        width: parent.width * root.done
        color: "#f0b040"
    }
    property real done: 0
}
