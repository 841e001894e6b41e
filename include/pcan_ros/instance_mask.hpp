// Decodes pcan_ros/msg/InstanceMask: `auto pixels = pcan_ros::decode(instance.mask);`
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace pcan_ros
{

constexpr std::uint64_t MOST_PIXELS = std::uint64_t{1} << 28;  // of a crop; more would take the machine's memory

namespace detail
{

/// Read one run length of COCO's compressed form: 5 bits a character, lowest first, the last one signed.
template<class Bytes>
std::int64_t read_number(const Bytes & data, std::size_t & at)
{
  std::int64_t value = 0;
  for (int shift = 0; shift < 60; shift += 5) {
    if (at == data.size()) {throw std::invalid_argument("InstanceMask: RLE ends within a number");}
    const int bits = static_cast<int>(data[at++]) - 48;
    if (bits < 0 || bits > 63) {throw std::invalid_argument("InstanceMask: RLE has a byte outside 48..111");}
    value += static_cast<std::int64_t>(bits & 31) * (std::int64_t{1} << shift);
    if (!(bits & 32)) {
      return bits & 16 ? value - (std::int64_t{1} << (shift + 5)) : value;
    }
  }
  throw std::invalid_argument("InstanceMask: RLE has a number that is too long");
}

/// Paint the runs, which go down the columns, into a row-major image.
template<class Bytes>
void paint_runs(const Bytes & data, std::size_t height, std::size_t width, std::vector<std::uint8_t> & pixels)
{
  std::int64_t before = 0, last = 0;  // the run two back, and the run one back
  std::size_t place = 0;
  std::size_t index = 0;
  for (std::size_t at = 0; at < data.size(); ++index) {
    std::int64_t run = read_number(data, at);
    if (index > 2) {run += before;}  // from the fourth on, a run is written as its difference to the run two back
    if (run < 0 || run > static_cast<std::int64_t>(pixels.size() - place)) {
      throw std::invalid_argument("InstanceMask: RLE does not fit width * height");
    }
    for (const std::size_t end = place + static_cast<std::size_t>(run); place < end; ++place) {
      pixels[place % height * width + place / height] = index % 2 ? 255 : 0;
    }
    before = last;
    last = run;
  }
  if (place != pixels.size()) {throw std::invalid_argument("InstanceMask: RLE is shorter than width * height");}
}

}  // namespace detail

/// Return the crop's pixels, row by row: height * width bytes, 0 off and 255 on the object.
/// NONE gives zeros. Throws std::invalid_argument where the data does not fit its description.
template<class Mask>
std::vector<std::uint8_t> decode(const Mask & mask)
{
  const std::size_t height = mask.height, width = mask.width, stride = (width + 7) / 8;
  const auto expect = [&](std::size_t size) {
      if (mask.data.size() != size) {throw std::invalid_argument("InstanceMask: data has the wrong length");}
    };
  if (height && width > MOST_PIXELS / height) {
    throw std::invalid_argument("InstanceMask: width * height is beyond any image");
  }
  std::vector<std::uint8_t> pixels(height * width, 0);
  switch (mask.encoding) {
    case Mask::NONE:
      break;
    case Mask::RLE_COCO:
      detail::paint_runs(mask.data, height, width, pixels);
      break;
    case Mask::BITMAP:
      expect(height * stride);
      for (std::size_t i = 0; i < pixels.size(); ++i) {
        const std::size_t row = i / width, column = i % width;
        pixels[i] = mask.data[row * stride + column / 8] >> (7 - column % 8) & 1 ? 255 : 0;
      }
      break;
    case Mask::MONO8:
      expect(pixels.size());
      std::copy(mask.data.begin(), mask.data.end(), pixels.begin());
      break;
    default:
      throw std::invalid_argument("InstanceMask: unknown encoding");
  }
  return pixels;
}

}  // namespace pcan_ros
