/** `mirrorshard validate --config FILE`: what the commands that read the file would refuse, found without starting anything. */
import type { Validated } from '../../config/resolve.ts'
import { checkMachine } from '../preflight.ts'

/** @throws MirrorError of the first refusal, as the command that reads the file words it */
export async function execute({ run, inspect }: Validated): Promise<void> {
  await checkMachine(run, inspect)
}
