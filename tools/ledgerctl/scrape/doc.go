// Scrape reads the metrics of a sidecar. It takes the address of its HTTPS port and the one certificate to trust, and
// hands out totals, gauges, and quantiles of what happened between two readings.
package scrape
