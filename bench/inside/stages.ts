/** What the measurement of the stages is told and tells. */
export interface StagesOrder {
  readonly path: string
  readonly rounds: number
}

export interface StagesResult {
  readonly packets: number
  /** Requests that the last stage parsed: all set-ups read the whole capture. */
  readonly requests: number
  /** ns a packet, one for each round. */
  readonly stages: Readonly<Record<Stage, readonly number[]>>
}

export const STAGES = ['read', 'decapsulate', 'ringWrite', 'ringRead', 'reassemble', 'http', 'sink'] as const
export type Stage = (typeof STAGES)[number]
