/** Memory for messages whose head came before the end of their body, used again and again: one serves after the other. */
import { MessageView } from '../exchange/message.ts'

/** Kept for reuse, at most. */
const MAX_SPARE = 64
/** Longer heads are rare: their memory is given back. */
const MAX_SPARE_BYTES = 4096

export class HeldMessages {
  private readonly spare: MessageView[] = []

  /** A view with a copy of the head, and no body. It is given back. */
  take(head: MessageView): MessageView {
    const held = this.spare.pop() ?? new MessageView(0, [])
    head.copyHeadTo(held)
    held.bodyBytes = 0
    return held
  }

  /** Nobody uses it any more. */
  give(held: MessageView): void {
    if (this.spare.length >= MAX_SPARE || held.bytes.length > MAX_SPARE_BYTES) return
    held.body = NO_BYTES
    held.bodyAt = 0
    held.bodyEnd = 0
    this.spare.push(held)
  }
}

const NO_BYTES = Buffer.alloc(0)
