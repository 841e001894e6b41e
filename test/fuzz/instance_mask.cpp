// Fuzz target: the C++ decoder of masks. Any message is its pixels, or std::invalid_argument.
//
// With clang:  clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude test/fuzz/instance_mask.cpp
// With g++:    g++ -std=c++17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -DMUTATIONS=20000 -Iinclude …, which brings a
//              small driver of its own: `./a.out FILE…` runs every file, and that many mutations of each.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "pcan_ros/instance_mask.hpp"

struct Mask  // as rosidl generates it
{
  static constexpr std::uint8_t NONE = 0, RLE_COCO = 1, BITMAP = 2, MONO8 = 3;
  std::uint8_t encoding;
  std::uint32_t width, height;
  std::vector<std::uint8_t> data;
};

/// Decode a message: encoding, height and width (a byte each, or as many bits higher as the fourth says), data.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t * bytes, std::size_t size)
{
  if (size < 4) {return 0;}
  const int shift = bytes[3] < 224 ? 0 : bytes[3] & 31;
  const auto side = [&](std::uint8_t value) {return static_cast<std::uint32_t>(std::uint64_t{value} << shift);};
  const Mask mask{bytes[0], side(bytes[2]), side(bytes[1]), {bytes + 4, bytes + size}};
  if (std::uint64_t{mask.height} * mask.width > std::uint64_t{1} << 22) {  // refused, or slow to paint
    if (std::uint64_t{mask.height} * mask.width <= pcan_ros::MOST_PIXELS) {return 0;}
  }
  try {
    if (pcan_ros::decode(mask).size() != std::size_t{mask.height} * mask.width) {std::abort();}
  } catch (const std::invalid_argument &) {
  }
  return 0;
}

#ifdef MUTATIONS
int main(int count, char ** files)
{
  std::mt19937 random(1);
  const auto below = [&](std::size_t most) {return random() % most;};
  for (int number = 1; number < count; ++number) {
    std::ifstream file(files[number], std::ios::binary);
    const std::vector<std::uint8_t> whole{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(whole.data(), whole.size());
    for (int mutation = 0; mutation < MUTATIONS && !whole.empty(); ++mutation) {
      auto bytes = whole;
      for (std::size_t left = 1 + below(4); left && !bytes.empty(); --left) {
        bytes[below(bytes.size())] = static_cast<std::uint8_t>(random());
        if (below(4) == 0) {bytes.resize(below(bytes.size() + 9));}
      }
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
  }
}
#endif
