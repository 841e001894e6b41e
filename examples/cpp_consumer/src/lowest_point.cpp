// Prints the image row at which each object touches the ground: the lowest row of its mask, in camera pixels.
//   ros2 run cpp_consumer lowest_point --ros-args -r tracks:=/pcan_tracker/tracks
#include <algorithm>
#include <cstdint>
#include <memory>

#include "pcan_ros/instance_mask.hpp"
#include "pcan_ros/msg/tracked_instance_array.hpp"
#include "rclcpp/rclcpp.hpp"

using pcan_ros::msg::InstanceMask;
using pcan_ros::msg::TrackedInstanceArray;

/// Return the lowest row of the image that a mask covers, or -1 if it covers none.
std::int64_t lowest_row(const InstanceMask & mask)
{
  const auto pixels = pcan_ros::decode(mask);  // mask.height x mask.width, row by row, 0 or 255
  const auto last = std::find_if(pixels.rbegin(), pixels.rend(), [](auto pixel) {return pixel != 0;});
  if (last == pixels.rend()) {return -1;}
  const std::int64_t place = pixels.rend() - last - 1;
  return mask.y_offset + place / mask.width;
}

class LowestPoint : public rclcpp::Node
{
public:
  LowestPoint()
  : Node("lowest_point")
  {
    subscription_ = create_subscription<TrackedInstanceArray>(
      "tracks", 10, [this](const TrackedInstanceArray & tracks) {print(tracks);});
  }

private:
  void print(const TrackedInstanceArray & tracks)
  {
    for (const auto & instance : tracks.instances) {
      const long row = static_cast<long>(lowest_row(instance.mask));
      RCLCPP_INFO(get_logger(), "%s %u: row %ld", instance.class_name.c_str(), instance.track_id, row);
    }
  }

  rclcpp::Subscription<TrackedInstanceArray>::SharedPtr subscription_;
};

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<LowestPoint>());
  rclcpp::shutdown();
}
