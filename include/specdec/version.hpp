#ifndef SPECDEC_VERSION_HPP
#define SPECDEC_VERSION_HPP

/// @file
/// The version of the library, in one place; the build reads it from here.

#define SPECDEC_VERSION_MAJOR 0
#define SPECDEC_VERSION_MINOR 1
#define SPECDEC_VERSION_PATCH 0

#endif  // SPECDEC_VERSION_HPP
