import { UndiciEngine } from '../../../src/sinks/replay/undici-engine.ts'
import { replayEngineContract } from '../../contracts/replay-engine.contract.ts'

replayEngineContract('undici', (options, clock, listener) => new UndiciEngine(options, clock, listener), {
  noAsterisk: true,
})
