variable "project_id" {
  description = "The id of an existing Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id: give the id (6 to 30 small letters, digits, hyphens), not the number or the name."
  }
}

variable "project_number" {
  description = "The number of the same project: gcloud projects describe PROJECT --format='value(projectNumber)'."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,14}$", var.project_number))
    error_message = "project_number: give the number, of digits alone; gcloud projects describe shows it."
  }
}

variable "region" {
  description = "The region of all that is made, such as europe-west1; it must offer Cloud Run, Firestore, Cloud Scheduler and Cloud Tasks."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region: give one region, such as europe-west1; not a zone, and not a multi-region."
  }
}

variable "name" {
  description = "What the function is called, and what the names of all that is made begin with."
  type        = string
  default     = "cronfire"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", var.name))
    error_message = "name: give 4 to 20 small letters, digits and hyphens, a letter first."
  }

  validation {
    condition     = !can(regex("^goog|google", var.name))
    error_message = "name: Google refuses topics that begin with goog, and buckets with google in their names; take another."
  }
}

variable "source_zip" {
  description = "The path of the zip that is deployed, from this folder; scripts/deploy makes it."
  type        = string
  default     = "../.cronfire/source.zip"

  validation {
    condition     = endswith(var.source_zip, ".zip")
    error_message = "source_zip: give the path of a .zip; scripts/deploy makes it."
  }
}

variable "settings" {
  description = "Further settings by their names in docs/settings.md, such as { DEFAULT_TIMEZONE = \"Europe/Riga\" }. Nothing that is secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]{1,60}$", name))])
    error_message = "settings: give names in capitals, as in docs/settings.md."
  }

  validation {
    condition = alltrue([
      for name in keys(var.settings) : !can(regex("(SECRET|TOKEN$|API_KEY|WEBHOOK_URL|SMTP_URL|ROUTING_KEY|HEARTBEAT_URL|APPRISE_URLS|NTFY_URL|OTLP_HEADERS)", name))
    ])
    error_message = "settings: a secret would be in Terraform's state; put it into Secret Manager and name it in secrets."
  }

  # Cloud Functions refuses these after minutes.
  validation {
    condition = alltrue([
      for name in keys(var.settings) : !contains(["FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "PORT"], name) && !startswith(name, "X_GOOGLE_")
    ])
    error_message = "settings: PORT, K_..., FUNCTION_... and X_GOOGLE_... are the platform's own; leave them out."
  }

  validation {
    condition     = !contains(keys(var.settings), "WORKER_BUDGET_SECONDS")
    error_message = "settings: give WORKER_BUDGET_SECONDS as worker_budget_s, which is compared with timeout_s."
  }

  validation {
    condition     = contains(["DEBUG", "INFO"], upper(lookup(var.settings, "LOG_LEVEL", "INFO")))
    error_message = "settings: LOG_LEVEL must be INFO or DEBUG here: the alarms count the line of each tick, which is INFO."
  }
}

variable "secrets" {
  description = "Settings whose values are in Secret Manager: the setting's name and the id of an existing secret, such as { SLACK_WEBHOOK_URL = \"slack-webhook\" }."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, id in var.secrets : can(regex("^[A-Z][A-Z0-9_]{1,80}$", name)) && can(regex("^[A-Za-z0-9_-]{1,255}$", id))
    ])
    error_message = "secrets: give names of settings in capitals, and ids of secrets of this project; never a value."
  }
}

variable "secrets_in_region" {
  description = "Whether the secrets are made in the region alone, as an organisation's policy of locations (constraints/gcp.resourceLocations) may demand; those that are there stay where they are."
  type        = bool
  default     = false
}

variable "rotating" {
  description = "Whether the previous shared secret is still accepted; true while pingers are given the new one."
  type        = bool
  default     = false
}

variable "rotating_signing" {
  description = "Whether keys and sessions signed with the signing secret before the present one are accepted; true until each key was used once."
  type        = bool
  default     = false
}

variable "bearer_pingers" {
  description = "Whether pingers without a Google account, such as cron-job.org, and people may reach the function; the program itself then asks for a secret or a key."
  type        = bool
  default     = false
}

variable "max_instances" {
  description = "The most instances at once: a bound of cost. Two serve a tick and a dashboard; each worker takes one more."
  type        = number
  default     = 4

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 100 && floor(var.max_instances) == var.max_instances
    error_message = "max_instances: give a whole number from 1 to 100."
  }
}

variable "memory_mib" {
  description = "Memory of an instance, in MiB."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.memory_mib)
    error_message = "memory_mib: give 256, 512, 1024, 2048 or 4096."
  }
}

variable "timeout_s" {
  description = "The longest a request may take, in seconds: a tick of Cloud Scheduler has 60, a worker the rest."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout_s >= 75 && var.timeout_s <= 1800
    error_message = "timeout_s: give 75 to 1800 seconds: more than a tick has, and no more than Cloud Tasks waits."
  }
}

variable "worker_budget_s" {
  description = "How long a worker works, in seconds; at least 20 less than timeout_s."
  type        = number
  default     = 280

  validation {
    condition     = var.worker_budget_s >= 30 && var.worker_budget_s <= var.timeout_s - 20
    error_message = "worker_budget_s: give at least 30, and 20 less than timeout_s, or its answers are cut off."
  }
}

variable "database_name" {
  description = "The name of the Firestore database made for the scheduler; a second installation in the project takes another."
  type        = string
  default     = "cronfire"

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.database_name))
    error_message = "database_name: give 4 to 63 small letters, digits and hyphens, a letter first, or (default)."
  }
}

variable "protect_database" {
  description = "Whether Firestore refuses to delete the database."
  type        = bool
  default     = true
}

variable "daily_backups" {
  description = "How many days a daily backup of the database is kept, 1 to 98; 0 for none. Costs storage."
  type        = number
  default     = 0

  validation {
    condition     = var.daily_backups >= 0 && var.daily_backups <= 98 && floor(var.daily_backups) == var.daily_backups
    error_message = "daily_backups: give whole days from 1 to 98, or 0 for no backups."
  }
}

variable "point_in_time_recovery" {
  description = "Whether the last 7 days can be read back; costs storage."
  type        = bool
  default     = false
}

variable "force_destroy" {
  description = "Whether destroy may delete the bucket with the sources in it."
  type        = bool
  default     = true
}

variable "queue_name" {
  description = "The name of the Cloud Tasks queue; empty for NAME-work. A name that was deleted cannot be used again for a week."
  type        = string
  default     = ""

  validation {
    condition     = var.queue_name == "" || can(regex("^[A-Za-z0-9-]{1,100}$", var.queue_name))
    error_message = "queue_name: give letters, digits and hyphens, or leave it empty."
  }
}

variable "push_events" {
  description = "Whether what others publish to the topic is sent to the function as events."
  type        = bool
  default     = false
}

variable "alarm_email" {
  description = "The address that is notified when the scheduler itself fails; empty for nobody."
  type        = string
  default     = ""

  validation {
    condition     = var.alarm_email == "" || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email: give one e-mail address, or leave it empty."
  }
}

variable "billing_account" {
  description = "The billing account whose budget is watched, such as 012345-6789AB-CDEF01; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.billing_account == "" || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account: give three groups of six, such as 012345-6789AB-CDEF01, or leave it empty."
  }
}

variable "budget" {
  description = "The budget of a month, in whole units of the billing account's currency: people are notified at half of it and at all of it."
  type        = number
  default     = 5

  validation {
    condition     = var.budget >= 1 && floor(var.budget) == var.budget
    error_message = "budget: give a whole number of at least 1, in the billing account's currency."
  }
}
