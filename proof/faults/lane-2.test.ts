// One of the two lanes in which the fault cases run (lane.ts); what they are stands in catalogue/.
import { runLane } from "./lane.ts";

await runLane("last");
