"""The task form: a task as texts that a browser can show and send back, and these texts as a task.

What is not touched is not changed. A field's value is shown as texts; when a browser sends back the same
texts, but for the line ends that it writes its own way, the stored value stays, whatever the texts would be
read as. Only a field whose texts differ is read.
"""
