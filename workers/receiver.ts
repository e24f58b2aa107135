/** What piscina loads in each receiving thread: one endless task. */
import { type ReceiverTask, runReceiver } from '../src/topology/receiver-loop.ts'

export default function receiver(task: ReceiverTask): Promise<void> {
  return runReceiver(task)
}
