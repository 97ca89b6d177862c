#ifndef SPECDEC_SPECDEC_HPP
#define SPECDEC_SPECDEC_HPP

/// @file
/// Everything but the opt-in parts (testing/, adapters/).

#include "concepts.hpp"
#include "config.hpp"
#include "decode/delivery.hpp"
#include "decode/emission.hpp"
#include "decode/generate.hpp"
#include "decode/held_tokens.hpp"
#include "decode/options.hpp"
#include "decode/outcome.hpp"
#include "decode/session.hpp"
#include "decode/snapshot.hpp"
#include "decode/statistics.hpp"
#include "decode/stop.hpp"
#include "draft/any.hpp"
#include "draft/forced.hpp"
#include "draft/model.hpp"
#include "length/constant.hpp"
#include "message.hpp"
#include "model/padded.hpp"
#include "model/recorded.hpp"
#include "proposal.hpp"
#include "random.hpp"
#include "requirements.hpp"
#include "sampling/distribution.hpp"
#include "sampling/law.hpp"
#include "sampling/mask.hpp"
#include "sampling/params.hpp"
#include "sampling/penalties.hpp"
#include "sampling/residual.hpp"
#include "sampling/text_so_far.hpp"
#include "theory.hpp"
#include "types.hpp"
#include "verify/any.hpp"
#include "verify/greedy.hpp"
#include "verify/rejection.hpp"
#include "verify/verdict.hpp"
#include "version.hpp"

#endif  // SPECDEC_SPECDEC_HPP
