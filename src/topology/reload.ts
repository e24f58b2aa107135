/** SIGHUP: the configuration is read again, and what may change while the service runs does. A faulty one changes nothing. */
import type { RunOptions } from '../config/options.ts'
import { changedOptions } from '../config/reload.ts'
import type { ServiceLog } from '../report/service-log.ts'
import type { Service, ServiceOptions } from './service.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from './stage-configs.ts'

export interface Reloading {
  readonly service: Service
  readonly serviceOptions: ServiceOptions
  readonly log: ServiceLog
  /** Reads flags, environment and file once more. @throws MirrorError that says what is wrong, and where */
  readonly reread: () => Promise<RunOptions>
}

export class Reloader {
  private readonly parts: Reloading
  private options: RunOptions
  /** One after the other: each compares with what the one before left. */
  private last: Promise<void> = Promise.resolve()

  constructor(options: RunOptions, parts: Reloading) {
    this.options = options
    this.parts = parts
  }

  /** Never rejects: what went wrong is in the log and in the metrics. */
  reload(): Promise<void> {
    this.last = this.last.then(() => this.once())
    return this.last
  }

  private async once(): Promise<void> {
    const { service, log } = this.parts
    if (this.options.config === null) {
      log.event('reload-refused', 'SIGHUP: there is no --config file to read again; nothing changed', { config: null })
      return
    }
    try {
      const wanted = await this.parts.reread()
      const { options, changed, refused } = changedOptions(this.options, wanted)
      // First, because it may fail: it reads the certificates that --tls-ca names.
      const change = this.changeTo(options)
      if (changed.length > 0) {
        await service.change(change)
        log.setLevel(options.logLevel)
        this.options = options
      }
      service.noteReload('success')
      const what = changed.map(({ name, from, to }) => `${name} from ${from} to ${to}`).join(', ')
      log.event('reloaded', `configuration read again: ${what === '' ? 'nothing changed' : what}`, {
        config: options.config,
        changed,
      })
      if (refused.length > 0)
        log.event(
          'reload-partly',
          `${refused.join(', ')} changed in the configuration and cannot while running: restart for that`,
          { needRestart: refused },
        )
    } catch (error) {
      service.noteReload('failure')
      log.event('reload-refused', `configuration not reloaded, nothing changed: ${(error as Error).message}`, {
        config: this.options.config,
      })
    }
  }

  private changeTo(options: RunOptions) {
    const { shardConfig, packetPipeline } = this.parts.serviceOptions
    const isLive = options.interface === null
    const { decapsulation, dispatch } = packetPipelineOptions(options, isLive)
    return {
      shardConfig: shardConfigOf(
        options,
        sendingSinkConfig(options, true),
        true,
        shardConfig.clockAnchor,
        options.rate,
      ),
      // Which shard owns a connection must stay: the hash keeps its key.
      packetPipeline: { decapsulation, dispatch: { ...dispatch, hashKey: packetPipeline.dispatch.hashKey } },
      allowFrom: options.allowFrom,
    }
  }
}
