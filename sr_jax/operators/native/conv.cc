// Convolutions of channels-last float32 maps on one core: y = act(correlate(x, w) + b), and its
// gradients. Stride 1, any kernel size, padding and channels, 1 to 3 spatial axes.
//
// Shapes: x (batch, *in, channels), w (*kernel, channels, features), y (batch, *out, features).
// With channels last, the taps of a kernel's last axis are one contiguous stretch of
// kernel[2] * channels inputs. So each row of a kernel is a small matrix product of overlapping
// stretches, and both gradients are products of the same stretches.
//
// Rows are copied to zero-padded scratch; rows of padding are skipped. Every sum has an order that
// depends on shapes alone.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

namespace sr_jax {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRegisters = 16;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif
constexpr int kFew = 4;  // features, up to which a vector holds inputs rather than features
constexpr int64_t kSlab = 32 << 10;  // floats of padded rows that are kept at a time

template <int L>
using Vec __attribute__((vector_size(4 * L))) = float;

template <int L>
inline Vec<L> load(const float* p) {
  Vec<L> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
template <int L>
inline void store(float* p, Vec<L> v, int count) {  // the first `count` lanes
  if (count >= L) std::memcpy(p, &v, sizeof(v));
  else std::copy_n(reinterpret_cast<float*>(&v), count, p);
}
template <int L>
inline float sum(Vec<L> v) {
  Vec<L / 2> halves[2];
  std::memcpy(halves, &v, sizeof(v));
  if constexpr (L == 2) return halves[0][0] + halves[1][0];
  else return sum<L / 2>(halves[0] + halves[1]);
}

// One convolution. Axes are (outer, middle, last): images are (height, 1, width).
struct Shape {
  int64_t batch, channels, features;
  int64_t in[3], out[3], kernel[3], low[3];  // `low` zeros before each axis, negative to crop

  int64_t in_size() const { return in[0] * in[1] * in[2] * channels; }
  int64_t out_size() const { return out[0] * out[1] * out[2] * features; }
  int64_t rows() const { return kernel[0] * kernel[1]; }
  int64_t stretch() const { return kernel[2] * channels; }

  // The correlation with the reversed kernel that computes dx from dy.
  Shape transposed() const {
    Shape t{batch, features, channels, {}, {}, {}, {}};
    for (int a = 0; a < 3; ++a) {
      t.in[a] = out[a], t.out[a] = in[a], t.kernel[a] = kernel[a];
      t.low[a] = kernel[a] - 1 - low[a];
    }
    return t;
  }
};

// At least `size` floats on a cache line's boundary, kept in `memory` between calls.
inline float* aligned(std::vector<float>& memory, int64_t size) {
  if (int64_t(memory.size()) < size + 16) memory.resize(size + 16);
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
}

// Rows of some outer planes of one image, each between as many zeros as stretches need.
class Rows {
 public:
  Rows(const Shape& s, std::vector<float>& scratch)
      : height_(s.in[1]), width_(s.in[2]), channels_(s.channels), memory_(scratch) {
    const int64_t high = s.out[2] + s.kernel[2] - 1 - width_ - s.low[2];
    before_ = std::max<int64_t>(s.low[2], 0) * channels_;
    start_ = before_ - s.low[2] * channels_;
    pitch_ = before_ + (width_ + std::max<int64_t>(high, 0)) * channels_;
  }

  int64_t plane() const { return height_ * pitch_; }

  // Takes the planes [first, last) of an image: the values where mask > 0, if there is one.
  void fill(const float* image, const float* mask, int64_t first, int64_t last) {
    first_ = first;
    const int64_t row = width_ * channels_, count = (last - first) * height_;
    // A vector may reach past the last value, but not past these.
    float* to = data_ = aligned(memory_, count * pitch_ + 2 * kLanes);
    image += first * height_ * row;
    if (mask) mask += first * height_ * row;
    for (int64_t r = 0; r < count; ++r, image += row, to += pitch_) {
      std::fill(to, to + before_, 0.f);
      if (mask) {
        for (int64_t i = 0; i < row; ++i) to[before_ + i] = mask[i] > 0 ? image[i] : 0.f;
        mask += row;
      } else {
        std::copy_n(image, row, to + before_);
      }
      std::fill(to + before_ + row, to + pitch_, 0.f);
    }
  }

  // The pixels of a row, and its stretches: the inputs of each output.
  const float* pixels(int64_t plane, int64_t row) const {
    return data_ + ((plane - first_) * height_ + row) * pitch_ + before_;
  }
  const float* stretches(int64_t plane, int64_t row) const {
    return pixels(plane, row) - before_ + start_;
  }

 private:
  int64_t height_, width_, channels_, before_, start_, pitch_, first_ = 0;
  float* data_ = nullptr;
  std::vector<float>& memory_;
};

struct Pair {  // of rows that are multiplied: a row of inputs, and weights or a row of outputs
  const float *x, *other;
};

// P outputs of V vectors of features; inputs are broadcast.
template <int L, int V, int P>
void wide(const std::vector<Pair>& rows, int64_t stretch, int64_t channels, const float* bias,
          bool relu, float* y, int64_t features, int valid) {
  Vec<L> total[P][V];
  for (int v = 0; v < V; ++v)
    for (int p = 0; p < P; ++p) total[p][v] = load<L>(bias + v * L);
  for (const Pair& row : rows) {
    const float *x = row.x, *w = row.other;
    for (int64_t j = 0; j < stretch; ++j, ++x, w += L * V) {
      Vec<L> weight[V];
      for (int v = 0; v < V; ++v) weight[v] = load<L>(w + v * L);
#pragma GCC unroll 24
      for (int p = 0; p < P; ++p)
        for (int v = 0; v < V; ++v) total[p][v] += x[p * channels] * weight[v];
    }
  }
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < V; ++v) {
      Vec<L> value = total[p][v];
      if (relu) value = value < 0 ? Vec<L>{} : value;
      store<L>(y + p * features + v * L, value, valid - v * L);
    }
}

// P outputs of F features; vectors hold inputs.
template <int L, int F, int P>
void few(const std::vector<Pair>& rows, int64_t stretch, int64_t channels, const float* bias,
         bool relu, float* y, int64_t features, int) {
  Vec<L> total[P][F] = {};
  for (const Pair& row : rows) {
    const float* w = row.other;
    for (int64_t end = L; end < stretch + L; end += L, w += F * L) {
      const float* x = row.x + std::min(end, stretch) - L;
      Vec<L> weight[F];
      for (int f = 0; f < F; ++f) weight[f] = load<L>(w + f * L);
#pragma GCC unroll 24
      for (int p = 0; p < P; ++p) {
        const Vec<L> value = load<L>(x + p * channels);
        for (int f = 0; f < F; ++f) total[p][f] += value * weight[f];
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int f = 0; f < F; ++f) {
      const float value = sum<L>(total[p][f]) + bias[f];
      y[p * features + f] = relu && value < 0 ? 0.f : value;
    }
}

// Adds to the gradient of J inputs of a kernel's row and V vectors of features.
template <int L, int V, int J>
void wide_gradient(const std::vector<Pair>& rows, int64_t width, int64_t channels,
                   int64_t features, float* dw, int valid) {
  Vec<L> total[J][V] = {};
  for (const Pair& row : rows) {
    const float *x = row.x, *dy = row.other;
    for (int64_t p = 0; p < width; ++p, x += channels, dy += features) {
      Vec<L> value[V];
      for (int v = 0; v < V; ++v) value[v] = load<L>(dy + v * L);
#pragma GCC unroll 24
      for (int j = 0; j < J; ++j)
        for (int v = 0; v < V; ++v) total[j][v] += x[j] * value[v];
    }
  }
  for (int j = 0; j < J; ++j)
    for (int v = 0; v < V; ++v)
      for (int l = 0; l < L && v * L + l < valid; ++l)
        dw[j * features + v * L + l] += total[j][v][l];
}

// The same of J vectors of inputs and F features.
template <int L, int F, int J>
void few_gradient(const std::vector<Pair>& rows, int64_t width, int64_t channels,
                  int64_t features, float* dw, int skip) {
  Vec<L> total[J][F] = {};
  for (const Pair& row : rows) {
    const float *x = row.x, *dy = row.other;
    for (int64_t p = 0; p < width; ++p, x += channels, dy += features) {
#pragma GCC unroll 24
      for (int j = 0; j < J; ++j) {
        const Vec<L> value = load<L>(x + j * L);
        for (int f = 0; f < F; ++f) total[j][f] += dy[f] * value;
      }
    }
  }
  for (int j = 0; j < J; ++j)
    for (int l = skip; l < L; ++l)
      for (int f = 0; f < F; ++f) dw[(j * L + l) * features + f] += total[j][f][l];
}

using Outputs = decltype(&wide<kLanes, 1, 1>);
using Gradient = decltype(&wide_gradient<kLanes, 1, 1>);

// How a block of features is computed, by the number of pixels or inputs that are taken at a time.
struct Kind {
  int width;                     // features
  std::vector<Outputs> outputs;  // [P - 1]
  std::vector<Gradient> gradient;  // [J - 1]
  int inputs;                    // of a J
};

template <int L, int V, int... P, int... J>
Kind wide_kind(std::integer_sequence<int, P...>, std::integer_sequence<int, J...>) {
  return {L * V, {&wide<L, V, P + 1>...}, {&wide_gradient<L, V, J + 1>...}, 1};
}
template <int F, int... P>
Kind few_kind(std::integer_sequence<int, P...>) {
  return {F, {&few<kLanes, F, P + 1>...}, {&few_gradient<kLanes, F, P + 1>...}, kLanes};
}
template <int N>
using Up = std::make_integer_sequence<int, N>;  // to N

const Kind& kind_of(int64_t features, int64_t stretch) {
  // As many sums as the registers hold beside the operands.
  constexpr int kSums = kRegisters == 32 ? 24 : 12, kPixels = kRegisters == 32 ? 16 : 12;
  constexpr int kFewSums = kRegisters == 32 ? 16 : 8;
  static const Kind twice = wide_kind<kLanes, 2>(Up<kSums / 2>(), Up<kSums / 2>());
  static const Kind once = wide_kind<kLanes, 1>(Up<kPixels>(), Up<kSums>());
  static const Kind half = wide_kind<std::min(kLanes, 8), 1>(Up<kPixels>(), Up<kSums>());
  static const Kind fews[kFew] = {few_kind<1>(Up<8>()), few_kind<2>(Up<kFewSums / 2>()),
                                  few_kind<3>(Up<kFewSums / 3>()),
                                  few_kind<4>(Up<kFewSums / 4>())};
  if (features >= 2 * kLanes) return twice;
  if (features >= kLanes || 8 * features > 5 * kLanes) return once;
  return features > kFew || stretch < kLanes ? half : fews[features - 1];
}

// The weights in the order in which they are read, block of features by block.
class Panels {
 public:
  struct Block {
    const Kind* kind;
    int64_t first, size;  // features
    int64_t weights, bias;  // where they begin
  };

  // Floats of a row of a kernel, whose last vector of inputs overlaps the one before.
  static int64_t block_row(const Kind& kind, int64_t stretch) {
    return (stretch + kind.inputs - 1) / kind.inputs * kind.inputs * kind.width;
  }

  // `w` is of the forward convolution; a transposed one reads it reversed, channels swapped.
  Panels(const Shape& s, const float* w, const float* bias, bool transposed) {
    static thread_local std::vector<float> scratch;
    const int64_t rows = s.rows(), stretch = s.stretch();
    int64_t size = 0;
    for (int64_t f = 0; f < s.features; f += blocks.back().size) {
      const Kind& kind = kind_of(s.features - f, s.stretch());
      const int64_t weights = rows * block_row(kind, stretch);
      blocks.push_back({&kind, f, std::min<int64_t>(kind.width, s.features - f), size,
                        size + weights});
      size += weights + kind.width;
    }
    float* to = aligned(scratch, size);
    std::fill_n(to, size, 0.f);
    data = to;
    if (!w) return;
    for (const Block& block : blocks) {
      const int64_t inputs = block.kind->inputs, last = (stretch - 1) / inputs;
      const int64_t overlap = (last + 1) * inputs - stretch;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < stretch; ++j) {
          const int64_t tap = r * s.kernel[2] + j / s.channels, c = j % s.channels;
          const int64_t mirrored = rows * s.kernel[2] - 1 - tap;
          for (int64_t f = 0; f < block.size; ++f) {
            const int64_t feature = block.first + f;
            const int64_t lane = j % inputs + (j / inputs == last) * overlap;
            const int64_t at = r * block_row(*block.kind, stretch) +
                               (j / inputs * block.kind->width + f) * inputs + lane;
            to[block.weights + at] =
                transposed ? w[(mirrored * s.features + feature) * s.channels + c]
                           : w[(tap * s.channels + c) * s.features + feature];
          }
        }
      if (bias)
        std::copy_n(bias + block.first, block.size, to + block.bias);
    }
  }

  std::vector<Block> blocks;
  const float* data;
};

// Calls `visit(first, size)` for the fewest stretches of at most `most` that make up `length`.
template <class Visit>
void split(int64_t length, int64_t most, Visit visit) {
  const int64_t parts = (length + most - 1) / most;
  for (int64_t i = 0, at = 0; i < parts; ++i) {
    const int64_t size = length / parts + (i < length % parts);
    visit(at, size);
    at += size;
  }
}

// Outputs of the planes [first, last) of one image, whose inputs are in `rows`.
void correlate(const Shape& s, const Rows& rows, const Panels& panels, bool relu, int64_t first,
               int64_t last, float* y) {
  std::vector<Pair> pairs;
  for (const Panels::Block& block : panels.blocks) {
    const auto& outputs = block.kind->outputs;
    for (int64_t o = first; o < last; ++o)
      for (int64_t m = 0; m < s.out[1]; ++m) {
        float* to = y + (o * s.out[1] + m) * s.out[2] * s.features + block.first;
        split(s.out[2], outputs.size(), [&](int64_t p, int64_t size) {
          pairs.clear();
          for (int64_t a = 0; a < s.kernel[0]; ++a)
            for (int64_t b = 0; b < s.kernel[1]; ++b) {
              const int64_t plane = o + a - s.low[0], row = m + b - s.low[1];
              if (plane < 0 || plane >= s.in[0] || row < 0 || row >= s.in[1]) continue;
              const int64_t weights =
                  (a * s.kernel[1] + b) * Panels::block_row(*block.kind, s.stretch());
              pairs.push_back({rows.stretches(plane, row) + p * s.channels,
                               panels.data + block.weights + weights});
            }
          outputs[size - 1](pairs, s.stretch(), s.channels, panels.data + block.bias, relu,
                            to + p * s.features, s.features, block.size);
        });
      }
  }
}

// Adds the gradient of the weights that the planes [first, last) of inputs of one image have.
void correlate_gradient(const Shape& s, const Rows& x, const Rows& dy, int64_t first, int64_t last,
                        float* dw) {
  std::vector<Pair> pairs, shifted;
  for (int64_t a = 0; a < s.kernel[0]; ++a)
    for (int64_t b = 0; b < s.kernel[1]; ++b, dw += s.stretch() * s.features) {
      pairs.clear();
      for (int64_t i = first; i < last; ++i)
        for (int64_t row = 0; row < s.in[1]; ++row) {
          const int64_t o = i + s.low[0] - a, m = row + s.low[1] - b;
          if (o >= 0 && o < s.out[0] && m >= 0 && m < s.out[1])
            pairs.push_back({x.stretches(i, row), dy.pixels(o, m)});
        }
      for (int64_t f = 0; f < s.features;) {
        const Kind& kind = kind_of(s.features - f, s.stretch());
        const auto add = [&](int64_t j, int64_t size, int lanes) {
          shifted = pairs;
          for (Pair& pair : shifted) pair.x += j, pair.other += f;
          kind.gradient[size - 1](shifted, s.out[2], s.channels, s.features,
                                  dw + j * s.features + f, lanes);
        };
        const int64_t inputs = kind.inputs, whole = s.stretch() / inputs;
        const int valid = std::min<int64_t>(kind.width, s.features - f);
        split(whole, kind.gradient.size(), [&](int64_t j, int64_t size) {
          add(j * inputs, size, inputs > 1 ? 0 : valid);
        });
        const int64_t rest = s.stretch() - whole * inputs;
        if (rest) add(s.stretch() - inputs, 1, inputs - rest);
        f += valid;
      }
    }
}

// The planes of [first, last), moved by `shift` and widened by `size` - 1, that are in an image.
std::pair<int64_t, int64_t> range(int64_t first, int64_t last, int64_t shift, int64_t size,
                                  int64_t length) {
  const int64_t begin = std::clamp<int64_t>(first + shift, 0, length);
  return {begin, std::clamp<int64_t>(last + shift + size - 1, begin, length)};
}

int64_t slab(const Rows& rows) {
  return std::max<int64_t>(1, kSlab / std::max<int64_t>(1, rows.plane()));
}

void forward(const Shape& s, const float* x, const float* w, const float* bias, bool relu,
             float* y) {
  static thread_local std::vector<float> scratch;
  const Panels panels(s, w, bias, false);
  Rows rows(s, scratch);
  for (int64_t n = 0; n < s.batch; ++n, x += s.in_size(), y += s.out_size())
    split(s.out[0], slab(rows), [&](int64_t first, int64_t size) {
      const auto [begin, end] = range(first, first + size, -s.low[0], s.kernel[0], s.in[0]);
      rows.fill(x, nullptr, begin, end);
      correlate(s, rows, panels, relu, first, first + size, y);
    });
}

// Gradients of `forward`, but for those that are null; `y` masks dy where the activation is ReLU.
void backward(const Shape& s, const float* x, const float* w, const float* y, const float* dy,
              float* dx, float* dw, float* db) {
  static thread_local std::vector<float> x_scratch, dy_scratch;
  const Shape t = s.transposed();
  const Panels panels(t, dx ? w : nullptr, nullptr, true);
  Rows x_rows(s, x_scratch), dy_rows(t, dy_scratch);
  if (dw) std::fill_n(dw, s.rows() * s.stretch() * s.features, 0.f);
  if (db) std::fill_n(db, s.features, 0.f);
  for (int64_t n = 0; n < s.batch; ++n) {
    split(s.in[0], slab(x_rows), [&](int64_t first, int64_t size) {
      const int64_t last = first + size;
      const auto [begin, end] = range(first, last, -t.low[0], t.kernel[0], t.in[0]);
      if (dw) x_rows.fill(x, nullptr, first, last);
      dy_rows.fill(dy, y, begin, end);
      if (dw) correlate_gradient(s, x_rows, dy_rows, first, last, dw);
      if (dx) correlate(t, dy_rows, panels, false, first, last, dx);
    });
    if (db) {
      static thread_local std::vector<float> sums;
      sums.assign(s.features, 0.f);
      for (int64_t i = 0; i < s.out_size(); i += s.features)
        for (int64_t f = 0; f < s.features; ++f)
          sums[f] += !y || y[i + f] > 0 ? dy[i + f] : 0.f;
      for (int64_t f = 0; f < s.features; ++f) db[f] += sums[f];
    }
    x += s.in_size(), dy += s.out_size();
    if (y) y += s.out_size();
    if (dx) dx += s.in_size();
  }
}

}  // namespace sr_jax

#ifndef SR_JAX_WITHOUT_FFI  // as in the program that a test builds with sanitizers
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::Result<Array>;
using Lows = ffi::Span<const int64_t>;

// Axes that an array lacks have one pixel and a kernel of one tap: a row is (1, 1, width).
sr_jax::Shape shape_of(Array x, Array w, ffi::Span<const int64_t> out, Lows low) {
  const auto in = x.dimensions(), kernel = w.dimensions();
  const int axes = int(in.size()) - 2;
  sr_jax::Shape s{in[0], in[axes + 1], kernel[axes + 1], {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {}};
  for (int a = 0; a < axes; ++a) {
    const int to = a + 1 == axes ? 2 : a;
    s.in[to] = in[a + 1], s.out[to] = out[a + 1], s.kernel[to] = kernel[a], s.low[to] = low[a];
  }
  return s;
}

template <class Compute>
ffi::Error guarded(Compute compute) {
  try {
    compute();
  } catch (const std::exception& error) {  // such as too little memory for scratch
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, error.what());
  }
  return ffi::Error::Success();
}

float* data_or_null(float* data, size_t size) { return size ? data : nullptr; }

ffi::Error conv(Array x, Array w, Array bias, Result y, Lows low, bool relu) {
  const auto s = shape_of(x, w, y->dimensions(), low);
  return guarded([&] {
    sr_jax::forward(s, x.typed_data(), w.typed_data(),
                    data_or_null(bias.typed_data(), bias.element_count()), relu, y->typed_data());
  });
}

ffi::Error conv_gradient(Array x, Array w, Array y, Array dy, Result dx, Result dw, Result db,
                         Lows low) {
  const auto s = shape_of(x, w, dy.dimensions(), low);
  return guarded([&] {
    sr_jax::backward(s, x.typed_data(), w.typed_data(),
                     data_or_null(y.typed_data(), y.element_count()), dy.typed_data(),
                     data_or_null(dx->typed_data(), dx->element_count()),
                     data_or_null(dw->typed_data(), dw->element_count()),
                     data_or_null(db->typed_data(), db->element_count()));
  });
}

}  // namespace

#pragma GCC visibility push(default)
// y = act(x * w + bias); a bias without elements is none.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    sr_jax_conv, conv,
    ffi::Ffi::Bind().Arg<Array>().Arg<Array>().Arg<Array>().Ret<Array>().Attr<Lows>("low")
        .Attr<bool>("relu"));
// Its gradients; a y without elements is that of no activation, and results without are not made.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    sr_jax_conv_gradient, conv_gradient,
    ffi::Ffi::Bind().Arg<Array>().Arg<Array>().Arg<Array>().Arg<Array>().Ret<Array>().Ret<Array>()
        .Ret<Array>().Attr<Lows>("low"));
#pragma GCC visibility pop
#endif
