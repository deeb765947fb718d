// Floating point: scalar SSE2, vectors of SSE2, vectors of AVX2 with fused multiply-add, and the x87 stack. Only
// operations that IEEE 754 defines to the last bit, so that emulators have no excuse.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <immintrin.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

using Vector = std::array<double, 3>;

struct Body {
    Vector position;
    Vector velocity;
    double mass;
};

void attract(Body& a, Body& b, double time) {
    Vector apart;
    double distance2 = 0.01; // softened: bodies may pass through each other
    for (std::size_t axis = 0; axis < 3; ++axis) {
        apart[axis] = b.position[axis] - a.position[axis];
        distance2 += apart[axis] * apart[axis];
    }
    const double pull = time / (distance2 * std::sqrt(distance2));
    for (std::size_t axis = 0; axis < 3; ++axis) {
        a.velocity[axis] += apart[axis] * pull * b.mass;
        b.velocity[axis] -= apart[axis] * pull * a.mass;
    }
}

constexpr std::size_t kOrder = 192; // rows and columns of the matrices: three of them in a second-level cache
using Matrix = std::vector<float>;

Matrix random_matrix(std::uint64_t seed) {
    Random random(seed);
    Matrix matrix(kOrder * kOrder);
    for (auto& element : matrix) element = static_cast<float>(random.below(2001)) / 1000 - 1;
    return matrix;
}

// product += left * right, a row at a time.
void multiply_sse2(const Matrix& left, const Matrix& right, Matrix& product) {
    for (std::size_t row = 0; row < kOrder; ++row) {
        for (std::size_t k = 0; k < kOrder; ++k) {
            const __m128 factor = _mm_set1_ps(left[row * kOrder + k]);
            for (std::size_t column = 0; column < kOrder; column += 4) {
                float* sum = &product[row * kOrder + column];
                const __m128 term = _mm_mul_ps(factor, _mm_loadu_ps(&right[k * kOrder + column]));
                _mm_storeu_ps(sum, _mm_add_ps(_mm_loadu_ps(sum), term));
            }
        }
    }
}

[[gnu::target("avx2,fma")]] void multiply_fma(const Matrix& left, const Matrix& right, Matrix& product) {
    for (std::size_t row = 0; row < kOrder; ++row) {
        for (std::size_t k = 0; k < kOrder; ++k) {
            const __m256 factor = _mm256_set1_ps(left[row * kOrder + k]);
            for (std::size_t column = 0; column < kOrder; column += 8) {
                float* sum = &product[row * kOrder + column];
                const __m256 term = _mm256_loadu_ps(&right[k * kOrder + column]);
                _mm256_storeu_ps(sum, _mm256_fmadd_ps(factor, term, _mm256_loadu_ps(sum)));
            }
        }
    }
}

Answer multiply_matrices(Trial& trial, std::uint64_t rounds, void (*multiply)(const Matrix&, const Matrix&, Matrix&)) {
    const Matrix left = random_matrix(4);
    const Matrix right = random_matrix(5);
    Matrix product(kOrder * kOrder);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) multiply(left, right, product);
    trial.stop_clock();
    Answer answer;
    for (const float element : product) answer.add(std::bit_cast<std::uint32_t>(element));
    return answer;
}

} // namespace

Answer n_body(Trial& trial) {
    Random random(6);
    std::array<Body, 6> bodies{};
    for (auto& body : bodies) {
        for (std::size_t axis = 0; axis < 3; ++axis) {
            body.position[axis] = static_cast<double>(random.below(1000)) / 100;
            body.velocity[axis] = static_cast<double>(random.below(1000)) / 1000;
        }
        body.mass = 1 + static_cast<double>(random.below(10));
    }
    constexpr double kTime = 1.0 / 1024;
    const std::uint64_t steps = trial.amount(400'000);
    for (std::uint64_t step = 0; step < steps; ++step) {
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            for (std::size_t k = i + 1; k < bodies.size(); ++k) attract(bodies[i], bodies[k], kTime);
        }
        for (auto& body : bodies) {
            for (std::size_t axis = 0; axis < 3; ++axis) body.position[axis] += body.velocity[axis] * kTime;
        }
    }
    Answer answer;
    for (const auto& body : bodies) {
        for (const double coordinate : body.position) answer.add(std::bit_cast<std::uint64_t>(coordinate));
    }
    return answer;
}

Answer matrix_sse2(Trial& trial) { return multiply_matrices(trial, trial.amount(30), multiply_sse2); }

std::string_view lacks_fma() {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 ? "" : "no AVX2 with FMA";
}

Answer matrix_fma(Trial& trial) { return multiply_matrices(trial, trial.amount(50), multiply_fma); }

// The logistic map, whose digits are soon all noise, and a sum with a division and a square root.
Answer x87(Trial& trial) {
    long double x = 0.3L;
    long double sum = 0;
    const std::uint64_t steps = trial.amount(4'000'000);
    for (std::uint64_t step = 0; step < steps; ++step) {
        x = 3.75L * x * (1 - x);
        sum += std::sqrt(x) / (1 + x);
    }
    std::array<unsigned char, 10> bytes{}; // the type's other six are padding
    Answer answer;
    std::memcpy(bytes.data(), &x, bytes.size());
    answer.add(bytes);
    std::memcpy(bytes.data(), &sum, bytes.size());
    answer.add(bytes);
    return answer;
}

} // namespace touka::bench
