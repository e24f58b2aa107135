/** What the command line expects of the commands: each takes its checked options and returns an exit code. */
import type { CommandName } from '../config/field.ts'
import type {
  CaptureOptions,
  DemoOptions,
  DoctorOptions,
  InspectOptions,
  ReplayOptions,
  RunOptions,
} from '../config/options.ts'
import type { Validated } from '../config/resolve.ts'

/**
 * Each resolves to the exit code of the process: 0 done, 1 run-time failure.
 * @throws MirrorError whose `exitCode` the process ends with, and whose message is printed as it is
 */
export interface CommandHandlers {
  /** @param reread the options once more, with the file as it is then @throws as at the start */
  run(options: RunOptions, reread: () => Promise<RunOptions>): Promise<number>
  replay(options: ReplayOptions): Promise<number>
  inspect(options: InspectOptions): Promise<number>
  capture(options: CaptureOptions): Promise<number>
  demo(options: DemoOptions): Promise<number>
  doctor(options: DoctorOptions): Promise<number>
}

/** Each command is a module of its own, loaded when it is called: `capture` does not wait for the replay engine to load. */
export type HandlerLoaders = {
  readonly [C in CommandName]: () => Promise<{ readonly execute: CommandHandlers[C] }>
} & {
  /** @throws MirrorError of the first thing on this machine that a command which reads the file refuses */
  readonly validate: () => Promise<{ readonly execute: (validated: Validated) => Promise<void> }>
}
