#include "utf8.hpp"

#include <cstddef>
#include <utility>

namespace generate {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// The length of a character that starts with this byte; 0 if none does.
std::size_t length_from(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

// Whether `next` may be byte number `index` of a character that starts with `lead`. The second byte's range is
// narrower where a longer form of a shorter character, a surrogate or a code point beyond U+10FFFF would follow.
bool continues(unsigned char lead, std::size_t index, unsigned char next) {
  if (index == 1) {
    if (lead == 0xe0) return next >= 0xa0 && next <= 0xbf;
    if (lead == 0xed) return next >= 0x80 && next <= 0x9f;
    if (lead == 0xf0) return next >= 0x90 && next <= 0xbf;
    if (lead == 0xf4) return next >= 0x80 && next <= 0x8f;
  }
  return next >= 0x80 && next <= 0xbf;
}

}  // namespace

std::string utf8_stream::push(std::string_view bytes) {
  std::string text;
  for (const char next : bytes) {
    const auto byte = static_cast<unsigned char>(next);
    if (!held_.empty() && !continues(static_cast<unsigned char>(held_.front()), held_.size(), byte)) {
      text += replacement;
      held_.clear();
    }
    if (held_.empty() && length_from(byte) == 0) {
      text += replacement;
      continue;
    }
    held_ += next;
    if (held_.size() == length_from(static_cast<unsigned char>(held_.front()))) text += std::exchange(held_, {});
  }
  return text;
}

std::string utf8_stream::finish() {
  return std::exchange(held_, {}).empty() ? std::string() : std::string(replacement);
}

}  // namespace generate
