import type { DemoOptions } from '../../config/options.ts'
export async function execute(_options: DemoOptions): Promise<number> {
  return 1
}
