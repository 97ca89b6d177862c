#ifndef SPECDEC_DETAIL_KERNELS_HPP
#define SPECDEC_DETAIL_KERNELS_HPP

/// @file
/// All floating-point arithmetic over a vocabulary, in one place, because its bits are a promise: the same on every
/// instruction set, compiler, optimisation level and under every -m flag. lanes.hpp says how.

#include "dispatch.hpp"
#include "draw.hpp"
#include "exponential.hpp"
#include "filter.hpp"
#include "lanes.hpp"
#include "nucleus.hpp"
#include "passes.hpp"
#include "race.hpp"
#include "reduce.hpp"
#include "rows.hpp"
#include "select.hpp"

#endif  // SPECDEC_DETAIL_KERNELS_HPP
