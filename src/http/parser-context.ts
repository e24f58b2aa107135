import type { MessageView } from '../exchange/message.ts'
import type { HeadReader } from './head.ts'
import type { HeldMessages } from './held-messages.ts'
import type { HttpMemory } from './http-memory.ts'
import type { PartialHead } from './partial-head.ts'

/** What all parsers of a shard share: one of each is enough, because a message is parsed without interruption. */
export interface ParserContext {
  readonly reader: HeadReader
  /** View handed out for messages that lie whole in one piece. */
  readonly view: MessageView
  /** For messages whose body comes in further pieces. */
  readonly heldMessages: HeldMessages
  readonly maxHeadBytes: number
  readonly maxBodyBytes: number
  readonly memory: HttpMemory
  /** Keep request bodies, or only count them. */
  readonly keepBodies: boolean
  takePartialHead(): PartialHead
  givePartialHead(partial: PartialHead): void
}
