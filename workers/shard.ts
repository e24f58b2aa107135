/** What piscina loads in each worker thread: one endless task, the shard. */
import { runShard, type ShardTask } from '../src/topology/shard-loop.ts'

export default function shard(task: ShardTask): Promise<void> {
  return runShard(task)
}
