/** What the inspect sink can be told. */
import type { PipelineStep } from '../../config/pipeline.ts'
import type { BodyUse } from '../../exchange/exchange.ts'
import type { RedactionOptions } from './redaction.ts'

export const INSPECT_FORMATS = ['ndjson', 'table', 'har'] as const
export type InspectFormat = (typeof INSPECT_FORMATS)[number]

export interface InspectOptions {
  readonly format: InspectFormat
  readonly bodies: BodyUse
  /** Null: headers are written as captured. */
  readonly redaction: RedactionOptions | null
  /** What is not printed, in order. */
  readonly steps: readonly PipelineStep[]
}

/** What is done with bodies: a table shows lengths only, HAR has no place for hashes. */
export function bodyUse({ format, bodies }: Pick<InspectOptions, 'format' | 'bodies'>): BodyUse {
  if (format === 'ndjson') return bodies
  return format === 'har' && bodies === 'keep' ? 'keep' : 'none'
}
