import { FieldRequest } from '../../../src/sinks/replay/field-request.ts'
import { UndiciEngine } from '../../../src/sinks/replay/undici-engine.ts'
import { replayEngineContract } from '../../contracts/replay-engine.contract.ts'

replayEngineContract('undici', {
  open: (options, clock, listener) => new UndiciEngine(options, clock, listener),
  compose: ({ method, target, headers, body }) => new FieldRequest(method, target, [...headers], body, 0),
  limits: {
    noAsterisk: true,
    checksInSend: true,
    losesConnectionOnLength: true,
    oneContinue: true,
    hidesPoison: true,
    noBlankLines: true,
  },
})
