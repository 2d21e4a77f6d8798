// Compaction, as the queue sees it: a message's place changes and nothing else, for all that is known of it goes by id.
// A delivery under way keeps what it reads pinned where it began.
#include "kernel/queue/core.hpp"

namespace mansio::queue {

// Not before all is known that decides which places are used: what is found, who writes where, and who holds what.
void QueueCore::compact() {
  if (!replay_ && gate_open_ && retire_open_ && !unpark_at_ && !draining_) store_.compact(*this);
}

bool QueueCore::may_move(MessageId id, const spool::Place &commit) {
  const auto slot = index_.find(id);
  return slot != kNone && index_.lies_at(slot, commit) && !index_.message(slot).corrupt &&
         index_.counts(slot).leased == 0;
}

// The journal's word is what lets the old place go. Without it a start that finds both takes the old one: a copy whose
// sync failed can look whole to it.
void QueueCore::moved(const spool::Committed &copy, const spool::Place &from) {
  if (!store_.admit(copy)) return;
  const auto slot = index_.find(copy.id);
  if (slot == kNone || !index_.lies_at(slot, from) || !index_.move(slot, copy.commit))
    return store_.retire(copy.commit, last_sequence_);  // done meanwhile
  cache_.erase(copy.id);                                // it knows the old place
  store_.retire(from, journal(entry::moved(copy.id, copy.commit)));
}

void QueueCore::damaged(MessageId id, const spool::Place &commit) {
  const auto slot = index_.find(id);
  if (slot != kNone && index_.lies_at(slot, commit)) set_aside(slot, "damaged in the spool");
}

// A message in the index turns up at a second place. One of the two stays.
void QueueCore::found_again(MessageSlot slot, const spool::Committed &at) {
  if (index_.lies_at(slot, at.commit) || !store_.admit(at)) return;
  const auto known = index_.commit_of(slot);
  const auto named = replay_ ? replay_->moved(at.id) : std::nullopt;
  const bool named_known = named && index_.lies_at(slot, *named);
  const bool named_new = named && named->segment == at.commit.segment && named->epoch == at.commit.epoch &&
                         named->offset == at.commit.offset;
  const bool better = named_new || (!named_known && store_.moves(at.id, at.commit) < store_.moves(at.id, known));
  if (!better || !index_.move(slot, at.commit)) return retire(at.commit, 0);
  cache_.erase(at.id);
  retire(known, 0);
}

}  // namespace mansio::queue
