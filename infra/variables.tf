variable "project_id" {
  description = "The id of an existing Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id: give the id (6 to 30 small letters, digits, hyphens), not the number or the name."
  }
}

variable "region" {
  description = "The region of all that is made, such as europe-west1."
  type        = string
}

variable "database_name" {
  description = "The name of the Firestore database made for the scheduler."
  type        = string
  default     = "cronfire"
}

variable "collection_prefix" {
  description = "What stands before the names of collections; empty means nothing."
  type        = string
}

variable "protect_database" {
  description = "Whether Firestore refuses to delete the database."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether the last 7 days can be read back; costs storage."
  type        = bool
  default     = false
}
