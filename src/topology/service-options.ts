/** From the options of `run` to those of the service. */
import type { MonotonicClock } from '../base/clock.ts'
import { MirrorError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { readSecretFile } from '../base/secret-file.ts'
import { memoryBudget } from '../config/memory-budget.ts'
import type { RunOptions } from '../config/options.ts'
import { tokenFault } from '../report/admin-access.ts'
import type { TellEvent } from '../report/log-events.ts'
import type { ServiceOptions } from './service.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from './stage-configs.ts'

export function serviceOptions(
  options: RunOptions,
  clock: MonotonicClock,
  tell: TellEvent,
  whileThreadsStart: ServiceOptions['whileThreadsStart'] = () => {},
): ServiceOptions {
  return {
    listen: options.listen,
    sharesPorts: options.reusePort,
    receiver: options.receiver === 'auto' ? undefined : options.receiver,
    receiveBufferBytes: options.receiveBufferBytes,
    datagramBytes: options.datagramBytes,
    receivers: options.receivers,
    allowFrom: options.allowFrom,
    interface:
      options.interface === null
        ? null
        : { name: options.interface, filter: options.filter ?? '', bufferBytes: options.captureBufferBytes },
    packetPipeline: packetPipelineOptions(options, options.interface === null),
    shardConfig: shardConfigOf(options, sendingSinkConfig(options, true), true, clock.anchor, options.rate),
    workers: options.workers,
    ringBytes: options.ringBytes,
    shedAbove: options.shedAbove === 100 ? null : options.shedAbove / 100,
    shardHeapMb: options.shardHeapMb,
    memory: memoryBudget(options),
    admin: options.admin,
    adminAccess: {
      token: options.adminTokenFile === null ? null : readToken(options.adminTokenFile),
      hosts: options.adminHost ?? [],
    },
    health: options.health,
    faultsEnabled: process.env.MIRRORSHARD_FAULTS === '1',
    clock,
    tell,
    whileThreadsStart,
  }
}

function readToken(path: string): string {
  const option = '--admin-token-file'
  const token = readSecretFile(option, path).toString('latin1')
  const fault = tokenFault(token)
  if (fault !== null) throw new MirrorError('ERR_CONFIG', `${option} ${printable(path)}: ${fault}`)
  return token
}
