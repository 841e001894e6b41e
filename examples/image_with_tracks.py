"""Draw the tracks over the image in which they were detected.

    python3 image_with_tracks.py --ros-args -r image:=/camera/image_raw -r tracks:=/pcan_tracker/tracks

Tracks have the stamp of their image, so exact synchronisation pairs them. The queue must hold the images that
arrive while one is tracked, 6 at 30 Hz and 0.2 s. Images that the tracker dropped are not paired.
"""

from __future__ import annotations

from typing import Any

import cv2
import message_filters
import numpy as np
import rclpy
from cv_bridge import CvBridge
from pcan_ros.msg import TrackedInstanceArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from pcan_model.core.masks import decode

QUEUE = 30  # images


class ImageWithTracks(Node):
    """Publishes `painted`, the images with the masks in red."""

    def __init__(self) -> None:
        super().__init__("image_with_tracks")
        self._bridge = CvBridge()
        self._publisher = self.create_publisher(Image, "painted", 1)
        images = message_filters.Subscriber(self, Image, "image", qos_profile=qos_profile_sensor_data)
        tracks = message_filters.Subscriber(self, TrackedInstanceArray, "tracks")
        self._pairs = message_filters.TimeSynchronizer([images, tracks], QUEUE)
        self._pairs.registerCallback(self.paint)

    def paint(self, image: Image, tracks: TrackedInstanceArray) -> None:
        """Publish one image with its tracks drawn on it."""
        pixels = np.array(self._bridge.imgmsg_to_cv2(image, desired_encoding="bgr8"))
        for instance in tracks.instances:
            mask = decode(instance.mask, tracks.image_height, tracks.image_width)  # (H, W), 1 on the object
            pixels[mask > 0] = (0, 0, 255)
            corner = (round(instance.x), round(instance.y))
            text = f"{instance.class_name} {instance.track_id}"
            cv2.putText(pixels, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255))
        self._publisher.publish(self._bridge.cv2_to_imgmsg(pixels, encoding="bgr8", header=image.header))


def main(arguments: Any = None) -> None:
    """Run until Ctrl-C."""
    rclpy.init(args=arguments)
    rclpy.spin(ImageWithTracks())


if __name__ == "__main__":
    main()
