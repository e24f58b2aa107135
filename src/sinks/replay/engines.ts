/** Which engine sends. Loaded on use: undici alone is half of a start's time. */
import type { EngineFactory, EngineName } from './engine.ts'

export async function loadEngine(name: EngineName): Promise<EngineFactory> {
  if (name === 'undici') {
    const { UndiciEngine } = await import('./undici-engine.ts')
    return (options, clock, listener) => new UndiciEngine(options, clock, listener)
  }
  const { RawHttp1Client } = await import('./raw-http1-client.ts')
  return (options, clock, listener) => new RawHttp1Client(options, clock, listener)
}
