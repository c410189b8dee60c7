// Compares the native convolution with sums in float64, for random shapes: built with sanitizers,
// which see every access outside of the arrays. Prints how many shapes agree; fails at the first
// that does not.

#define SR_JAX_WITHOUT_FFI
#include "conv.cc"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

namespace {

std::mt19937 random_bits(0);

int64_t between(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random_bits);
}

// An array of exactly this size, so that a sanitizer sees what reaches past its end.
struct Values {
  explicit Values(int64_t size) : size(size), at(new float[size]) {
    for (int64_t i = 0; i < size; ++i)
      at[i] = std::uniform_real_distribution<float>(-1, 1)(random_bits);
  }
  int64_t size;
  std::unique_ptr<float[]> at;
};

bool near(const Values& actual, const std::vector<double>& expected, double terms) {
  for (int64_t i = 0; i < actual.size; ++i)
    if (!(std::abs(actual.at[i] - expected[i]) <= 3e-7 * (terms + 4))) return false;
  return true;
}

// Calls `visit(x, w, y)` with the place of every product of a convolution.
template <class Visit>
void products(const sr_jax::Shape& s, Visit visit) {
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t o = 0; o < s.out[0] * s.out[1] * s.out[2]; ++o)
      for (int64_t k = 0; k < s.kernel[0] * s.kernel[1] * s.kernel[2]; ++k) {
        const int64_t outs[3] = {o / s.out[2] / s.out[1], o / s.out[2] % s.out[1], o % s.out[2]};
        const int64_t taps[3] = {k / s.kernel[2] / s.kernel[1], k / s.kernel[2] % s.kernel[1],
                                 k % s.kernel[2]};
        int64_t in = n;
        bool is_inside = true;
        for (int a = 0; a < 3; ++a) {
          const int64_t i = outs[a] + taps[a] - s.low[a];
          is_inside &= i >= 0 && i < s.in[a];
          in = in * s.in[a] + i;
        }
        if (!is_inside) continue;
        const int64_t out = n * s.out[0] * s.out[1] * s.out[2] + o;
        for (int64_t c = 0; c < s.channels; ++c)
          for (int64_t f = 0; f < s.features; ++f)
            visit(in * s.channels + c, (k * s.channels + c) * s.features + f, out * s.features + f);
      }
}

bool agrees(const sr_jax::Shape& s, bool relu) {
  const int64_t sizes[] = {s.batch * s.in_size(), s.rows() * s.stretch() * s.features,
                           s.batch * s.out_size()};
  Values x(sizes[0]), w(sizes[1]), bias(s.features), y(sizes[2]), dy(sizes[2]);
  Values dx(sizes[0]), dw(sizes[1]), db(s.features);
  std::vector<double> ys(sizes[2]), dxs(sizes[0]), dws(sizes[1]), dbs(s.features);
  sr_jax::forward(s, x.at.get(), w.at.get(), bias.at.get(), relu, y.at.get());
  sr_jax::backward(s, x.at.get(), w.at.get(), relu ? y.at.get() : nullptr, dy.at.get(), dx.at.get(),
                   dw.at.get(), db.at.get());
  products(s, [&](int64_t i, int64_t k, int64_t o) { ys[o] += double(x.at[i]) * w.at[k]; });
  for (int64_t o = 0; o < sizes[2]; ++o) {
    ys[o] += bias.at[o % s.features];
    if (relu && ys[o] < 0) ys[o] = 0;
    if (relu && !(y.at[o] > 0)) dy.at[o] = 0;
    dbs[o % s.features] += dy.at[o];
  }
  products(s, [&](int64_t i, int64_t k, int64_t o) {
    dxs[i] += double(dy.at[o]) * w.at[k];
    dws[k] += double(dy.at[o]) * x.at[i];
  });
  const double taps = s.rows() * s.stretch(), outputs = s.batch * s.out_size() / s.features;
  return near(y, ys, taps) && near(dx, dxs, taps * s.features / s.channels) &&
         near(dw, dws, outputs) && near(db, dbs, outputs);
}

}  // namespace

int main() {
  const int64_t channels[] = {1, 2, 3, 4, 5, 8, 12, 16, 31, 32, 33, 49};
  constexpr int kShapes = 400;
  for (int i = 0; i < kShapes; ++i) {
    const int axes = between(1, 3);
    sr_jax::Shape s{between(0, 3), channels[between(0, 11)], channels[between(0, 11)],
                    {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {}};
    for (int a = 0; a < 3; ++a) {
      if (a < 2 && a >= axes - 1) continue;
      const int64_t most = axes == 1 ? 40 : axes == 2 ? 14 : 6;
      s.in[a] = between(1, most), s.kernel[a] = between(1, 7);
      s.low[a] = between(-2, s.kernel[a] + 1);
      s.out[a] = std::max<int64_t>(0, between(-1, most));  // by zeros or cropping at the end
    }
    const bool relu = between(0, 1);
    if (!agrees(s, relu)) {
      std::printf("shape %d is wrong: batch %d, %d to %d channels, relu %d\n", i, int(s.batch),
                  int(s.channels), int(s.features), relu);
      for (int a = 0; a < 3; ++a)
        std::printf("in %d, out %d, kernel %d, low %d\n", int(s.in[a]), int(s.out[a]),
                    int(s.kernel[a]), int(s.low[a]));
      return 1;
    }
  }
  std::printf("%d shapes agree\n", kShapes);
}
