// Package check holds what is deployed against what it is for: it takes the manifests, the Dockerfile, the systemd unit, the
// alerts and the dashboard of the repository, renders and decodes them as a cluster would, and hands out
// nothing but failed tests. It is a module of its own, so that the programs need not know Kubernetes.
package check
