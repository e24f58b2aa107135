import { openDgramReceiver } from '../../../src/sources/live/dgram-receiver.ts'
import { describeDatagramReceiver } from '../../contracts/datagram-receiver.contract.ts'

describeDatagramReceiver('dgram', openDgramReceiver)
