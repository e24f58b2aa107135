/**
 * The filters of the pipeline, in their order. Equal ones that stand side by side are one group: a request passes a group of `allow` when any
 * of them matches, and a group of `deny` when none does.
 */
import { RequestDrop } from '../../base/drop.ts'
import { regularExpressionOf } from '../../base/regular-expression.ts'
import type { PipelineStep } from '../../config/pipeline.ts'
import type { MessageView } from '../../exchange/message.ts'
import { matchesGlob } from './glob.ts'
import { hostOf, pathAndQueryOf } from './target.ts'

/** What the steps look at. Texts are made when a step asks for them. */
interface Subject {
  readonly method: string
  readonly pathAndQuery: string
  /** In lower case, with its port where one is stated; null: the request names no host. */
  readonly host: string | null
  /** Of the captured answer; null: none was seen. */
  readonly status: number | null
}

type Test = (subject: Subject) => boolean

interface Group {
  readonly name: PipelineStep['name']
  readonly reason: number
  readonly tests: Test[]
}

export class FilterSteps {
  private readonly groups: readonly Group[]

  constructor(steps: readonly PipelineStep[]) {
    const groups: Group[] = []
    for (const step of steps) {
      const last = groups.at(-1)
      if (last?.name === step.name) last.tests.push(testOf(step))
      else groups.push({ name: step.name, reason: REASONS[step.name], tests: [testOf(step)] })
    }
    this.groups = groups
  }

  get isEmpty(): boolean {
    return this.groups.length === 0
  }

  /**
   * The RequestDrop code of the first group that refuses the exchange, or RequestDrop.none.
   * @param status of the captured final answer; null: none was seen
   */
  refusal(request: MessageView, status: number | null): number {
    const subject = new RequestSubject(request, status)
    for (const { name, reason, tests } of this.groups) {
      const isMatch = tests.some((test) => test(subject))
      if (isMatch === name.startsWith('deny-')) return reason
    }
    return RequestDrop.none
  }

  /** Whether an answer whose request was not seen passes: of what was not seen nothing can be said. */
  passesAlone(status: number): boolean {
    const subject = { method: '', pathAndQuery: '', host: null, status }
    return this.groups.every(({ name, tests }) => name === 'only-status' && tests.some((test) => test(subject)))
  }
}

const REASONS: Readonly<Record<PipelineStep['name'], number>> = {
  'allow-method': RequestDrop.method,
  'deny-method': RequestDrop.method,
  'allow-path': RequestDrop.path,
  'deny-path': RequestDrop.path,
  'allow-host': RequestDrop.host,
  'deny-host': RequestDrop.host,
  'only-status': RequestDrop.status,
}

function testOf(step: PipelineStep): Test {
  switch (step.name) {
    case 'allow-method':
    case 'deny-method': {
      const methods = new Set(step.methods)
      return ({ method }) => methods.has(method)
    }
    case 'allow-path':
    case 'deny-path': {
      const expression = regularExpressionOf(step.pattern)
      return ({ pathAndQuery }) => expression.isIn(pathAndQuery)
    }
    case 'allow-host':
    case 'deny-host': {
      const { glob } = step
      return ({ host }) => host !== null && (matchesGlob(glob, host) || matchesGlob(glob, withoutPort(host)))
    }
    case 'only-status': {
      const statuses = new Set(step.statuses)
      return ({ status }) =>
        status !== null && (statuses.has(String(status)) || statuses.has(`${Math.floor(status / 100)}xx`))
    }
  }
}

class RequestSubject implements Subject {
  readonly status: number | null
  private readonly request: MessageView

  constructor(request: MessageView, status: number | null) {
    this.request = request
    this.status = status
  }

  get method(): string {
    return this.request.method()
  }

  get pathAndQuery(): string {
    return pathAndQueryOf(this.request.method(), this.request.target())
  }

  get host(): string | null {
    return hostOf(this.request)
  }
}

/** `[::1]:80` is `[::1]`. */
function withoutPort(host: string): string {
  return host.replace(/:\d*$/, '')
}
