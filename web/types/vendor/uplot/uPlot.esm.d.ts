// The service serves the installed library beside the pages.
export { default } from "../../../../packages/api/node_modules/uplot/dist/uPlot.d.ts";
