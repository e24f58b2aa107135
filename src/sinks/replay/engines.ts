/** Which engine sends. Loaded on use: undici alone is half of a start's time. */
import type { EngineFactory, EngineName } from './engine.ts'

export async function loadEngine(name: EngineName): Promise<EngineFactory> {
  if (name === 'undici') {
    const { UndiciEngine } = await import('./undici-engine.ts')
    return (options, clock, listener) => new UndiciEngine(options, clock, listener)
  }
  const { WireEngine } = await import('./wire-engine.ts')
  return (options, clock, listener) => new WireEngine(options, clock, listener)
}
