/** The filters every complete request passes before it is replayed or discarded: the first one that refuses is counted. */
import { RequestDrop } from '../../base/drop.ts'
import type { ConnectionFacts } from '../../exchange/connection.ts'
import { MessageFlag, type MessageView } from '../../exchange/message.ts'
import { matchesGlob } from './glob.ts'
import { type SampleBy, Sampler } from './sampling.ts'
import { pathOf } from './target.ts'

export interface SelectionOptions {
  /** Method tokens to replay, case-sensitive (RFC 9110 section 9.1); empty: all. */
  readonly methods: readonly string[]
  /** Globs on the path (glob.ts); empty: all. A request is replayed when one of them matches. */
  readonly include: readonly string[]
  /** Globs on the path; a request is not replayed when one of them matches, whatever `include` says. */
  readonly exclude: readonly string[]
  /** Share of the requests to keep, 0 to 100. */
  readonly percent: number
  readonly sampleBy: SampleBy
}

export const SELECT_ALL: SelectionOptions = {
  methods: [],
  include: [],
  exclude: [],
  percent: 100,
  sampleBy: 'connection',
}

const NEVER_REPLAYED = MessageFlag.connect | MessageFlag.webSocket | MessageFlag.marked

export class RequestSelection {
  private readonly methods: ReadonlySet<string>
  private readonly include: readonly string[]
  private readonly exclude: readonly string[]
  private readonly sampler: Sampler | null
  private readonly looksAtPath: boolean

  /** @param random uniform in [0, 1), for sampleBy `random` */
  constructor(options: SelectionOptions, random: () => number) {
    this.methods = new Set(options.methods)
    this.include = options.include
    this.exclude = options.exclude
    this.looksAtPath = options.include.length + options.exclude.length > 0
    this.sampler = options.percent >= 100 ? null : new Sampler(options.percent, options.sampleBy, random)
  }

  /** The RequestDrop code of the first filter that refuses the request, or RequestDrop.none. */
  refusal(message: MessageView, connection: ConnectionFacts): number {
    if ((message.flags & NEVER_REPLAYED) !== 0) {
      if (message.has(MessageFlag.connect)) return RequestDrop.connect
      return message.has(MessageFlag.webSocket) ? RequestDrop.upgrade : RequestDrop.loop
    }
    if (this.methods.size > 0 && !this.methods.has(message.method())) return RequestDrop.method
    if (this.looksAtPath && !this.wantsPath(pathOf(message.method(), message.target()))) return RequestDrop.path
    if (this.sampler !== null && !this.sampler.keeps(message, connection)) return RequestDrop.sampledOut
    return RequestDrop.none
  }

  private wantsPath(path: string): boolean {
    if (this.include.length > 0 && !this.include.some((glob) => matchesGlob(glob, path))) return false
    return !this.exclude.some((glob) => matchesGlob(glob, path))
  }
}
